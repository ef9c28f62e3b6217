"""Who it is: users and keys."""
