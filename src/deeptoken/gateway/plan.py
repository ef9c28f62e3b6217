"""The planner: which channels, in which order. Pure; chance is given.

Higher priority first; within one priority a weighted draw without repetition; ties by name. At most
three fallbacks after the first.
"""

from collections.abc import Callable, Sequence

from deeptoken.catalog.model import Candidate

ATTEMPTS_MAX = 4


def plan(candidates: Sequence[Candidate], draw: Callable[[], float]) -> tuple[Candidate, ...]:
    """`candidates` in the order in which they are tried. `draw` gives numbers in [0, 1)."""
    if len(candidates) < 2:
        return tuple(candidates)
    ordered: list[Candidate] = []
    left = sorted(candidates, key=lambda candidate: (-candidate.channel.priority, candidate.channel.name))
    while left and len(ordered) < ATTEMPTS_MAX:
        highest = left[0].channel.priority
        peers = [candidate for candidate in left if candidate.channel.priority == highest]
        chosen = peers[0] if len(peers) == 1 else _drawn(peers, draw())
        left.remove(chosen)
        ordered.append(chosen)
    return tuple(ordered)


def _drawn(peers: list[Candidate], point: float) -> Candidate:
    """One of `peers` by weight; a weight of 0 is only drawn when no other is left."""
    reached = point * sum(peer.channel.weight for peer in peers)
    for peer in peers:
        reached -= peer.channel.weight
        if reached < 0:
            return peer
    return peers[-1]
