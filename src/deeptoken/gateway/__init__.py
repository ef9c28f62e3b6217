"""The path of a call: read `serve.py` first."""
