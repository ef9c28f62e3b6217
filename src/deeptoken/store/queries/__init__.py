"""The statements, a file per subject."""
