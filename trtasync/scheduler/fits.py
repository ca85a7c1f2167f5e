"""How large a batch may be for the deadlines of its rows."""

import math
from collections.abc import Iterator, Sequence

from trtasync.scheduler.cost import TRUST, CostCurve, bucket
from trtasync.scheduler.options import padded
from trtasync.scheduler.queues import urgency
from trtasync.scheduler.requests import Entry, whole

SOON = 1e-9
"""Seconds that stand for the time of a size without recent measurements: such a size is tried."""

WORTH = 3.0
"""How many times as many answers per second make up for a smaller batch: requests left behind get
old, and serving the oldest first in small batches stays behind from then on (docs/policies.md)."""


class Fit:
    """The size of one batch, and which requests are too late for it.

    The objective is answers in time per second: too large a batch is late for everybody; one as
    small as its earliest deadline demands keeps the device from all others.

    Attributes:
        rows: the most rows of the batch.
        ends: when it is predicted to end.
    """

    __slots__ = ("_begins", "_cost", "_most", "_now", "_sizes", "ends", "rows")

    def __init__(
        self,
        cost: CostCurve,
        sizes: Sequence[int],
        most: int,
        rows: int,
        begins: float,
        now: float,
    ):
        """Start without a row.

        Args:
            cost: t(batch). A size without a believed time is assumed to be in time, and so
                tried.
            sizes: the only sizes run, ascending; empty for any.
            most: rows of the largest batch.
            rows: all that could go.
            begins: when the batch is predicted to begin.
            now: the time.
        """
        self._cost = cost
        self._sizes = sizes
        self._most = most
        self._begins = begins
        self._now = now
        self.rows: int = min(most, rows)
        self.ends: float = begins + self._seconds(self.rows)

    def is_late(self, entry: Entry) -> bool:
        """Whether it can be in time neither in this batch nor in one of its own.

        A request of which a chunk has run is never late: it could not be readmitted as a whole.
        """
        need = self._need(entry)
        ends = self.ends if need <= self.rows else self._begins + self._seconds(need)
        return _due(entry) < ends

    def shrink(self, entries: Sequence[Entry]) -> None:
        """Choose the size that answers the most rows in time per second, preferring large ones.

        Requests without a deadline are answered in any case, and do not count. Among several
        priorities all but the worst come first, at any price. Smaller requests starve nobody: the
        most urgent one gets its place if it can be in time.

        Args:
            entries: what could go, at least one, without withdrawn ones.
        """
        needs = [(_due(entry), self._need(entry), entry.level) for entry in entries]
        worst = max(level for _, _, level in needs)
        mixed = any(level < worst for _, _, level in needs)
        least = self._least(entries)
        best, score = 0, (0, 0.0)
        for size in self._descending():
            if size < least:
                break
            ends = self._begins + self._seconds(size)
            going = [each for each in needs if each[0] >= ends and each[1] <= size]
            hasty = min(size, sum(need for due, need, _ in going if due < math.inf))
            better = min(size, sum(need for _, need, level in going if level < worst))
            rows = min(size, sum(need for _, need, _ in going))
            rate = hasty / (self._seconds(rows) or SOON) if rows else 0.0
            if (better, rate) > (score[0], score[1] * WORTH):
                best, score = size, (better, rate)
            if hasty == size and not mixed:
                break
        if not best and any(due == math.inf for due, _, _ in needs):
            return  # nothing else could be in time
        self.rows = best or min(need for _, need, _ in needs)
        self.ends = self._begins + self._seconds(self.rows)
        if not best and not self._cost.fresh(padded(self.rows, self._sizes), self._now - TRUST):
            self.ends = -math.inf  # the smallest possible: its run shows whether that is still true

    def chosen(self, entries: Sequence[Entry]) -> list[Entry]:
        """The most urgent of these entries that are not late, up to `rows`."""
        kept, rows = [], 0
        for entry in sorted(entries, key=_urgency):
            if rows + entry.rows <= self.rows and not self.is_late(entry):
                kept.append(entry)
                rows += entry.rows
        return kept

    def _seconds(self, rows: int) -> float:
        return self._cost.believed(padded(rows, self._sizes), self._now)

    def _need(self, entry: Entry) -> int:
        return min(self._most, entry.rows - entry.placed)

    def _least(self, entries: Sequence[Entry]) -> int:
        first = min(entries, key=_urgency)
        need = self._need(first)
        return need if _due(first) >= self._begins + self._seconds(need) else 0

    def _descending(self) -> Iterator[int]:
        """The size of all that could go, then every smaller size with a time of its own."""
        yield self.rows
        if self._sizes:
            yield from (size for size in reversed(self._sizes) if size < self.rows)
            return
        size = bucket(self.rows) >> 1
        while size:
            yield size
            size >>= 1


def _due(entry: Entry) -> float:
    request = whole(entry)
    return math.inf if request.chunks and request.begun else entry.deadline


def _urgency(entry: Entry) -> float:
    return urgency(entry.level, entry.arrival, entry.deadline)
