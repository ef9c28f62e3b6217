"""An open inference gateway with a real wallet."""

__version__ = "0.1.0"
