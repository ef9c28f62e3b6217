"""Where a key stands in a TOML file. The standard library's reader keeps no lines, so they are looked for.

Headers, keys (dotted and quoted too) and the n-th ``[[table]]`` are found by reading the lines; a key inside
an inline table or a list that spans lines by its name, from the line where the value starts. What is not
found is reported at the nearest line above it that is.
"""

import re

Path = tuple[str | int, ...]

PART = r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*"""
KEY = re.compile(rf"{PART}(?:\.{PART})*=")
HEADER = re.compile(rf"\s*(\[\[?)({PART}(?:\.{PART})*)\]\]?")
QUOTED = re.compile(r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#.*')


class Lines:
    """The lines of one file, by path: ``("channels", 0, "api_key")``. The first line is 1."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._starts: dict[Path, int] = {(): 1}
        self._ends: dict[Path, int] = {}
        self._read()

    def of(self, path: Path) -> int:
        """The line of this path, or of the nearest thing that holds it."""
        for length in range(len(path), -1, -1):
            start = self._starts.get(path[:length])
            if start is not None:
                return self._inside(path[:length], path[length:]) or start
        return 1

    def _inside(self, found: Path, rest: Path) -> int | None:
        """The line of a key inside an inline value, by the last of its names that occurs there."""
        start, end = self._starts[found], self._ends.get(found)
        names = [part for part in rest if isinstance(part, str)]
        if end is None or not names:
            return None
        nth = next((part for part in rest if isinstance(part, int)), 0)
        for name in reversed(names):
            told = re.compile(rf"""(?<![\w-])["']?{re.escape(name)}["']?\s*=""")
            hits = [n for n in range(start, end + 1) for _ in told.finditer(self._value(n, start))]
            if hits:
                return hits[min(nth, len(hits) - 1)]
        return None

    def _value(self, number: int, start: int) -> str:
        line = self._lines[number - 1]
        return line.partition("=")[2] if number == start else line

    def _read(self) -> None:
        table: Path = ()
        counts: dict[Path, int] = {}
        number = 0
        while number < len(self._lines):
            line = self._lines[number]
            number += 1
            if header := HEADER.match(line):
                table = self._table(header[1], parts(header[2]), counts)
                for length in range(1, len(table) + 1):
                    self._starts.setdefault(table[:length], number)
            elif key := KEY.match(line):
                path = (*table, *parts(key[0][:-1]))
                for length in range(len(table) + 1, len(path) + 1):
                    self._starts.setdefault(path[:length], number)
                number = self._end(number, line[key.end() :])
                self._ends[path] = number

    def _table(self, bracket: str, names: list[str], counts: dict[Path, int]) -> Path:
        """The path of a header: within the last of its list, if one of its names is a list."""
        path: Path = ()
        for position, name in enumerate(names):
            path = (*path, name)
            if bracket == "[[" and position == len(names) - 1:
                counts[path] = counts.get(path, -1) + 1
            if path in counts:
                path = (*path, counts[path])
        return path

    def _end(self, number: int, value: str) -> int:
        """The last line of a value that starts with `value` on this line."""
        depth, quote = 0, ""
        while True:
            depth, quote = scan(value, depth, quote)
            if (depth <= 0 and not quote) or number >= len(self._lines):
                return number
            value = self._lines[number]
            number += 1


def scan(text: str, depth: int, quote: str) -> tuple[int, str]:
    """How many brackets, and which long quote, are open after this line."""
    while text:
        if quote:
            _, closed, text = text.partition(quote)
            quote = "" if closed else quote
            continue
        found = QUOTED.search(text)
        plain = text[: found.start()] if found else text
        depth += sum(plain.count(c) for c in "[{") - sum(plain.count(c) for c in "]}")
        if found is None:
            break
        text = text[found.end() :]
        if found[0] in ('"""', "'''"):
            quote = found[0]
    return depth, quote


def parts(dotted: str) -> list[str]:
    """The names of a dotted key: ``a."b.c"`` is ``a`` and ``b.c``."""
    return [double or single or bare for double, single, bare in re.findall(PART, dotted)]
