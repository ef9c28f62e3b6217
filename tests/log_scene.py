"""The log of gateways that run in a test's own process.

What a thread writes while pytest's capture is read is lost between the reading and the emptying of its file.
"""

import io


class Logged(io.BytesIO):
    """All that was logged."""

    def __init__(self) -> None:
        super().__init__()
        self._told = 0

    def news(self) -> str:
        """The lines that came since the last time."""
        told, self._told = self._told, self.getvalue().rfind(b"\n") + 1
        return self.getvalue()[told : self._told].decode()
