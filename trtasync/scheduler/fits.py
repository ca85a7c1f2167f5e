"""How large a batch may be for the deadlines of its rows."""

import math
from collections.abc import Iterator, Sequence

from trtasync.scheduler.cost import TRUST, CostCurve, bucket
from trtasync.scheduler.options import padded
from trtasync.scheduler.queues import urgency
from trtasync.scheduler.requests import Entry, whole

SOON = 1e-9
"""Seconds that stand for a time of which nothing is believed: such a size is tried."""

WORTH = 3.0
"""How many times as many answers per second make up for a smaller batch: who is left behind gets
old, and what serves the oldest first in small batches is behind from then on (docs/policies.md)."""


class Fit:
    """The size of one batch, and who is too late for it.

    What counts is answers in time per second: a batch too large comes too late for everybody, one
    as small as its earliest deadline asks for keeps the device from all others.

    Attributes:
        rows: of the batch, at most.
        ends: when it is predicted to be done.
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
            cost: t(batch). A size of which it believes nothing is taken to be in time, and so
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
        """It cannot be done in time, neither in this batch nor in one just for it.

        A request of which a chunk has run is never late: it could not be taken in again as a whole.
        """
        need = self._need(entry)
        ends = self.ends if need <= self.rows else self._begins + self._seconds(need)
        return _due(entry) < ends

    def shrink(self, entries: Sequence[Entry]) -> None:
        """Choose the size that answers most rows in time per second, rather a large one.

        Who has no deadline is answered in any case, and does not count. Among several priorities
        all but the worst come first, at whatever price. Smaller requests keep nobody waiting for
        ever: the most urgent one has its place if it can be in time.

        Args:
            entries: what could go, at least one; withdrawn ones are not among them.
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
            return  # nobody else could be in time
        self.rows = best or min(need for _, need, _ in needs)
        self.ends = self._begins + self._seconds(self.rows)
        if not best and not self._cost.fresh(padded(self.rows, self._sizes), self._now - TRUST):
            self.ends = -math.inf  # the smallest that there is: it shows whether that is still so

    def chosen(self, entries: Sequence[Entry]) -> list[Entry]:
        """Of what could go the most urgent that are not late, up to `rows`."""
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
        """All that could go, then every smaller size that has a time of its own."""
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
