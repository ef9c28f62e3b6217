"""What a key's limits leave it, as OpenAI's clients read it; and a warning when a budget is nearly used.

x-ratelimit-limit-requests   -remaining-   -reset-     and the same of tokens
x-deeptoken-warning          1d ceiling: 83% used
"""

from collections.abc import Iterable

from deeptoken.ledger.postings import Near, Rate

MS_US, SECOND_US = 1_000, 1_000_000
PERCENT_PPM = 10_000
WARNING = b"x-deeptoken-warning"

NAMES = {
    kind: (
        b"x-ratelimit-limit-" + kind.encode(),
        b"x-ratelimit-remaining-" + kind.encode(),
        b"x-ratelimit-reset-" + kind.encode(),
    )
    for kind in ("requests", "tokens")
}

Headers = list[tuple[bytes, bytes]]


def rate_headers(rates: Iterable[Rate]) -> Headers:
    found: Headers = []
    for rate in rates:
        limit, remaining, reset = NAMES[rate.kind]
        found += ((limit, b"%d" % rate.most), (remaining, b"%d" % rate.left))
        if rate.reset_us is not None:
            found.append((reset, duration(rate.reset_us)))
    return found


def duration(us: int) -> bytes:
    """``120ms``, ``1.5s``, ``6m0s``: rounded up to milliseconds."""
    ms = -(-us // MS_US)
    if ms < 1_000:
        return b"%dms" % ms
    if ms < 60_000:
        return b"%gs" % (ms / 1_000)
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    rest = b"%dm%gs" % (minutes, ms / 1_000)
    return b"%dh%b" % (hours, rest) if hours else rest


def warning(near: Near, answering: str | None) -> bytes:
    """`answering` is the cheaper model that answers because of it."""
    told = f"{limit_name(near.name, near.subject)}: {near.used_ppm // PERCENT_PPM}% used"
    return (f"{told}, {answering} answers" if answering else told).encode("ascii", "replace")


def whose(subject: str) -> str:
    """Of a limit that is not the key's own."""
    if subject.startswith("org_"):
        return "member" if "/" in subject else "organization"
    return "parent key"


def limit_name(name: str, subject: str) -> str:
    """A ``usd`` limit in words."""
    if subject.startswith("org_"):
        return "member's monthly budget" if "/" in subject else "organization's monthly budget"
    own = {"month": "monthly budget", "total": "budget"}.get(name, f"{name} ceiling")
    return f"parent key's {own}" if subject else own
