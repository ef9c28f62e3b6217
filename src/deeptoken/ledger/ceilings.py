"""Rolling limits of keys and other subjects, exact over any window (`meters.py` says what each counts).

A window is (now - width, now], the calendar month, or all time. A charge enters it when its call is settled
and leaves it at its own time, so no burst at midnight is possible. Open holds always count, so that no window
is ever above its limit.

Admissions (16 bytes each) are all kept: no more than the limit are in a window.

A subject's limits are those that its latest hold brought; they bind the extensions of all its holds.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from deeptoken.ledger.calendar import edge_us, longest_us
from deeptoken.ledger.journal import Journal
from deeptoken.ledger.lots import OpenHold
from deeptoken.ledger.meters import ORGANIZATION, Counted, Meter, Meters, Several
from deeptoken.ledger.past import Past
from deeptoken.ledger.postings import Limit
from deeptoken.ledger.windows import CHARGED, KEPT_MAX, TOKENS, History, Window


class Ceilings:
    """The meters of all subjects that have limits."""

    def __init__(self, past: Past, journal: Journal, holds: Mapping[str, OpenHold]) -> None:
        self.meters: dict[str, Meter] = {}
        self._history = History(past, journal)
        self._holds = holds
        self._hand: deque[str] = deque()

    def measured(
        self, key: str, subjects: tuple[str, ...], limits: tuple[Limit, ...], now_us: int
    ) -> Meters | None:
        """The meters of a key and of further subjects, measured by these limits; None: they have none."""
        if not subjects:
            return self.meter(key, limits, now_us) if limits or key in self.meters else None
        found: list[Meter] = []
        for subject in (key, *subjects):
            whose = "" if subject == key else subject
            own = tuple([limit for limit in limits if limit.subject == whose])
            meter = self.meter(subject, own, now_us)
            if meter is not None:
                found.append(meter)
        return together(found)

    def held(self, hold: OpenHold, now_us: int) -> Meters | None:
        """The meters of an open hold, as they are now."""
        if not hold.subjects:
            meter = self.meters.get(hold.call.key)
            if meter is not None:
                meter.measure(now_us)
            return meter
        found = []
        for subject in (hold.call.key, *hold.subjects):
            meter = self.meters.get(subject)
            if meter is not None:
                meter.measure(now_us)
                found.append(meter)
        return together(found)

    def settled(self, hold: OpenHold, charged: int, rest: int, tokens: int, now_us: int) -> None:
        """A hold ended: its own wallet paid `charged`, its second one `rest`."""
        for subject in (hold.call.key, *hold.subjects):
            meter = self.meters.get(subject)
            if meter is not None:
                first = subject.startswith(ORGANIZATION)
                held, paid = (hold.amount, charged) if first else (hold.total, charged + rest)
                meter.settled(held, hold.tokens, paid, tokens, now_us)

    def meter(self, key: str, limits: tuple[Limit, ...], now_us: int) -> Meter | None:
        """A subject's meter, measured by these limits; None: it has none."""
        meter = self.meters.get(key)
        if meter is None:
            if not limits:
                return None
            meter = self._new(key, now_us)
        # It is in use: another new one of the same call must not have it forgotten.
        meter.last_us = now_us
        if limits != meter.limits:
            self._limit(key, meter, limits, now_us)
        meter.measure(now_us)
        return meter

    def _new(self, key: str, now_us: int) -> Meter:
        self._forget(now_us)
        meter = self.meters[key] = Meter(key)
        self._hand.append(key)
        meter.last_us = now_us
        first = key.startswith(ORGANIZATION)
        for hold in self._holds.values():
            if _counts(hold, key):
                meter.open += 1
                meter.grown(hold.amount if first else hold.total, hold.tokens)
        return meter

    def _forget(self, now_us: int) -> None:
        """Look at two old meters for each new one: those whose windows have all passed go."""
        for _ in range(min(2, len(self._hand))):
            key = self._hand.popleft()
            meter = self.meters[key]
            lasting_us = max((longest_us(width_us) for _, width_us in meter.windows), default=0)
            if meter.open or meter.last_us + lasting_us >= now_us:
                self._hand.append(key)
            else:
                del self.meters[key]

    def _limit(self, key: str, meter: Meter, limits: tuple[Limit, ...], now_us: int) -> None:
        """The key has other limits now."""
        meter.limits = limits
        meter.usd, meter.tokens, meter.requests, meter.concurrent = [], [], [], None
        known, meter.windows = meter.windows, {}
        for limit in limits:
            if limit.kind == "concurrent":
                if meter.concurrent is None or limit.most < meter.concurrent.most:
                    meter.concurrent = limit
                continue
            which = (limit.kind, limit.window_us)
            window = known.get(which) or meter.windows.get(which)
            if window is None:
                window = self._load(key, limit.kind, limit.window_us, now_us)
            meter.windows[which] = window
            measured = {"usd": meter.usd, "tokens": meter.tokens, "requests": meter.requests}
            measured[limit.kind].append((limit, window))
        meter.charged = [window for (kind, _), window in meter.windows.items() if kind == "usd"]
        meter.used = [window for (kind, _), window in meter.windows.items() if kind == "tokens"]

    def _load(self, key: str, kind: Counted, width_us: int, now_us: int) -> Window:
        if kind == "requests":
            return self._load_requests(key, width_us, now_us)
        window = Window(key, width_us, self._history, CHARGED if kind == "usd" else TOKENS)
        window.load(now_us)
        return window

    def _load_requests(self, key: str, width_us: int, now_us: int) -> Window:
        """Every admission since; a call that was admitted since has not ended before."""
        edge = edge_us(width_us, now_us)
        admitted = [hold.created_us for hold in self._holds.values() if _counts(hold, key)]
        after_us, all_read = edge, False
        while not all_read:
            rows, all_read = self._history.page(key, after_us, KEPT_MAX)
            admitted += [row[0] for row in rows]
            after_us = rows[-1][1] if rows else after_us
        window = Window(key, width_us, self._history, 0)
        for created_us in sorted(admitted):
            if created_us > edge:
                window.add(created_us, 1)
        return window


def _counts(hold: OpenHold, subject: str) -> bool:
    return hold.call.key == subject or subject in hold.subjects


def together(meters: Sequence[Meter]) -> Meters | None:
    if len(meters) < 2:
        return meters[0] if meters else None
    return Several(meters)


def without_organizations(meters: Meters | None) -> Meters | None:
    """Of the meters of a call those that count whichever wallet pays."""
    if not isinstance(meters, Several):
        return None if meters is None or meters.subject.startswith(ORGANIZATION) else meters
    return together([meter for meter in meters.meters if not meter.subject.startswith(ORGANIZATION)])
