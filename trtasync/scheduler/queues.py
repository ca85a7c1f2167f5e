"""Queues: the requests that can share batches, and the line of those that wait for a slot."""

import heapq
from collections import deque
from itertools import count, islice
from typing import TYPE_CHECKING, TypeAlias

from trtasync.scheduler.cost import CostCurve
from trtasync.scheduler.requests import Entry
from trtasync.scheduler.states import QUEUED

if TYPE_CHECKING:
    from trtasync.scheduler.batches import Batch
    from trtasync.scheduler.slot_pool import SlotLike

Item: TypeAlias = tuple[float, int, Entry]

AGEING = 10.0
"""Seconds of waiting that lift a request by one priority level. Also the horizon of the order by
deadline: a request without a deadline counts as due that long after it came, so that a stream of
urgent ones cannot keep it waiting for ever."""


def urgency(level: int, arrival: float, deadline: float) -> float:
    """One number that orders everything; smaller goes first.

    Levels are AGEING apart and virtual deadlines lie within AGEING of the arrival, so a better
    level always wins until the other has waited AGEING per level longer; within a level the earlier
    deadline wins. It never changes while a request waits, so nothing is re-sorted.
    """
    return level * AGEING + min(deadline, arrival + AGEING)


class WaitingLine:
    """Requests by urgency, then by arrival.

    Plain traffic (one priority, no deadlines) arrives in order and costs O(1) in a deque; what
    arrives out of order goes to a heap, O(log n). A withdrawn request is skipped when its turn
    comes, and swept out when the withdrawn outnumber the rest, so withdrawing is O(1) amortised.
    """

    __slots__ = ("_gone", "_heap", "_line", "_serial", "rows")

    def __init__(self) -> None:
        self._line: deque[Item] = deque()
        self._heap: list[Item] = []
        self._serial = count()
        self._gone = 0
        self.rows: int = 0
        """Rows waiting, withdrawn ones not counted."""

    def push(self, entry: Entry) -> None:
        """Put an entry (with its unplaced rows) in its place."""
        key = urgency(entry.level, entry.arrival, entry.deadline)
        item = (key, next(self._serial), entry)
        self.rows += entry.rows - entry.placed
        if not self._line or key >= self._line[-1][0]:
            self._line.append(item)
        else:
            heapq.heappush(self._heap, item)

    def head(self) -> Entry | None:
        """The next request, or None."""
        while (source := self._first()) is not None:
            entry = source[0][2]
            if entry.state is QUEUED:
                return entry
            self._drop_first(source)
            self._gone -= 1
        return None

    def pop(self) -> Entry:
        """Take the next request out; there must be one."""
        entry = self.head()
        source = self._first()
        assert entry is not None
        assert source is not None
        self._drop_first(source)
        self.rows -= entry.rows - entry.placed
        return entry

    def took(self, rows: int) -> None:
        """`rows` rows of the head were placed; it remains the head with the rest."""
        self.rows -= rows

    def withdraw(self, entry: Entry) -> None:
        """A waiting entry is no longer queued."""
        self.rows -= entry.rows - entry.placed
        self._gone += 1
        if self._gone * 2 > len(self._line) + len(self._heap):
            self.sweep()

    def sweep(self) -> None:
        """Remove withdrawn requests now."""
        if self._gone:
            self._line = deque(item for item in self._line if item[2].state is QUEUED)
            self._heap = [item for item in self._heap if item[2].state is QUEUED]
            heapq.heapify(self._heap)
            self._gone = 0

    def mend(self) -> None:
        """Recount after an interruption in here, without what is gone or already has its place."""
        self._line = deque(item for item in self._line if item[2].mend())
        self._heap = [item for item in self._heap if item[2].mend()]
        heapq.heapify(self._heap)
        self._gone = 0
        self.rows = sum(entry.rows - entry.placed for entry in self.entries())

    def last(self, count: int) -> list[Entry]:
        """At most `count` entries that arrived in order, least urgent first, and as many of the
        others: if all wait equally long, the former have the most time left."""
        line = (item[2] for item in reversed(self._line) if item[2].state is QUEUED)
        heap = (item[2] for item in self._heap if item[2].state is QUEUED)
        return [*islice(line, count), *islice(heap, count)]

    def entries(self) -> list[Entry]:
        """What waits, in no particular order."""
        return [item[2] for item in (*self._line, *self._heap) if item[2].state is QUEUED]

    def drain(self) -> list[Entry]:
        """Remove and return everything."""
        found = self.entries()
        self._line.clear()
        self._heap.clear()
        self._gone = 0
        self.rows = 0
        return found

    def __len__(self) -> int:
        return len(self._line) + len(self._heap) - self._gone

    def _first(self) -> deque[Item] | list[Item] | None:
        line, heap = self._line, self._heap
        if heap and (not line or heap[0] < line[0]):
            return heap
        return line or None

    def _drop_first(self, source: deque[Item] | list[Item]) -> None:
        if source is self._heap:
            heapq.heappop(self._heap)
        else:
            self._line.popleft()


class Queue:
    """Requests that can share a batch: one row shape.

    Attributes:
        cost: learned t(batch).
        forming: its batch that has room, or None.
        waiting: requests for which no slot was free.
        turn: serial number of its current place among the queues that wait for a slot; 0 for none.
    """

    __slots__ = ("cost", "forming", "turn", "waiting")

    def __init__(self) -> None:
        self.cost: CostCurve = CostCurve()
        self.forming: Batch[SlotLike] | None = None
        self.waiting: WaitingLine = WaitingLine()
        self.turn: int = 0


class StarvedQueues:
    """Queues with requests that wait for a slot, most urgent head first.

    Attributes:
        heap: empty if there are none. It may hold obsolete places.
    """

    __slots__ = ("_serial", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Queue]] = []
        self._serial = count(1)

    def join(self, queue: Queue) -> None:
        """Give a queue the place of its new head, in exchange for its old place."""
        head = queue.waiting.head()
        if head is None:
            queue.turn = 0
            return
        serial = next(self._serial)
        key = urgency(head.level, head.arrival, head.deadline)
        heapq.heappush(self.heap, (key, serial, queue))
        queue.turn = serial

    def first(self) -> Queue | None:
        """The queue whose turn it is; None if nothing waits."""
        while self.heap:
            _, serial, queue = self.heap[0]
            if queue.turn == serial and queue.waiting.head() is not None:
                return queue
            heapq.heappop(self.heap)  # by now it has a better place, or nothing waits
        return None

    def queues(self) -> list[Queue]:
        """All of them."""
        return list(dict.fromkeys(item[2] for item in self.heap))

    def clear(self) -> None:
        """Forget them."""
        self.heap.clear()
