"""The line of requests for which no slot was free, in the order in which they will be staged."""

import heapq
from collections import deque
from itertools import count, islice
from typing import Any

AGEING = 10.0
"""Seconds of waiting that lift a request by one priority level. Also the horizon of the order by
deadline: a request without a deadline counts as due that long after it came, so that a stream of
urgent ones cannot keep it waiting for ever."""


def urgency(level: int, arrival: float, deadline: float) -> float:
    """One number that orders everything; the smaller goes first.

    Levels are AGEING apart and virtual deadlines lie within AGEING of the arrival, so a better
    level always wins until the other has waited AGEING per level longer; inside a level the
    earlier deadline wins. It never changes while a request waits: no re-sorting.
    """
    return level * AGEING + min(deadline, arrival + AGEING)


class WaitingLine:
    """Requests by urgency, then by arrival.

    Plain traffic (one priority, no deadlines) comes in order and costs O(1) in a deque; what comes
    out of order goes to a heap, O(log n). A withdrawn request is skipped when its turn comes, and
    swept out when the withdrawn outnumber the rest, so withdrawing is O(1) amortised.
    """

    __slots__ = ("_gone", "_heap", "_line", "_serial", "rows")

    def __init__(self) -> None:
        self._line: deque[tuple[float, int, Any]] = deque()
        self._heap: list[tuple[float, int, Any]] = []
        self._serial = count()
        self._gone = 0
        self.rows = 0
        """Rows waiting, withdrawn ones not counted."""

    def push(self, request: Any) -> None:
        """Put a request (with its unplaced rows) in its place."""
        key = urgency(request.level, request.arrival, request.deadline)
        item = (key, next(self._serial), request)
        self.rows += request.rows - request.placed
        if not self._line or key >= self._line[-1][0]:
            self._line.append(item)
        else:
            heapq.heappush(self._heap, item)

    def head(self) -> Any | None:
        """The next request, or None."""
        while (source := self._first()) is not None:
            request = source[0][2]
            if not request.gone:
                return request
            self._drop_first(source)
            self._gone -= 1
        return None

    def pop(self) -> Any:
        """Take the next request out; there must be one."""
        request = self.head()
        source = self._first()
        assert request is not None
        assert source is not None
        self._drop_first(source)
        self.rows -= request.rows - request.placed
        return request

    def took(self, rows: int) -> None:
        """`rows` rows of the head were placed; it stays the head with the rest."""
        self.rows -= rows

    def withdraw(self, request: Any) -> None:
        """A waiting request was marked gone."""
        self.rows -= request.rows - request.placed
        self._gone += 1
        if self._gone * 2 > len(self._line) + len(self._heap):
            self.sweep()

    def sweep(self) -> None:
        """Forget withdrawn requests now."""
        if self._gone:
            self._line = deque(item for item in self._line if not item[2].gone)
            self._heap = [item for item in self._heap if not item[2].gone]
            heapq.heapify(self._heap)
            self._gone = 0

    def mend(self) -> None:
        """Count anew, without what is gone or has its place: somebody was interrupted in here."""
        self._line = deque(item for item in self._line if item[2].mend())
        self._heap = [item for item in self._heap if item[2].mend()]
        heapq.heapify(self._heap)
        self._gone = 0
        self.rows = sum(request.rows - request.placed for request in self.requests())

    def last(self, count: int) -> list[Any]:
        """So many at most of those that came in order, the least urgent first, and as many of the
        others: under one patience these have the most time left."""
        line = (item[2] for item in reversed(self._line) if not item[2].gone)
        heap = (item[2] for item in self._heap if not item[2].gone)
        return [*islice(line, count), *islice(heap, count)]

    def requests(self) -> list[Any]:
        """What waits, in no order."""
        return [item[2] for item in (*self._line, *self._heap) if not item[2].gone]

    def drain(self) -> list[Any]:
        """Take everything out."""
        found = self.requests()
        self._line.clear()
        self._heap.clear()
        self._gone = 0
        self.rows = 0
        return found

    def __len__(self) -> int:
        return len(self._line) + len(self._heap) - self._gone

    def _first(self) -> Any:
        line, heap = self._line, self._heap
        if heap and (not line or heap[0] < line[0]):
            return heap
        return line or None

    def _drop_first(self, source: Any) -> None:
        if source is self._heap:
            heapq.heappop(self._heap)
        else:
            self._line.popleft()
