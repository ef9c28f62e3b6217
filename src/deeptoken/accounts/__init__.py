"""Who may change what: people, organizations, keys, and what is written down of it."""
