"""Room in the process: load is shed before latency grows. What was admitted is finished."""

from types import TracebackType

from deeptoken.errors import Overloaded


class Room:
    """At most `most` calls in flight. Use as ``with room:``.

    Raises:
        Overloaded: there are as many already.
    """

    def __init__(self, most: int) -> None:
        self.taken = 0
        self._most = most

    def __enter__(self) -> None:
        if self.taken >= self._most:
            raise Overloaded
        self.taken += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.taken -= 1
