"""What can be called and what it costs. Pure."""
