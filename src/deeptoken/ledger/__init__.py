"""Money: the law of the ledger. Pure."""
