"""Requests that cannot meet their deadline and are not computed; their callers still wait."""

import heapq
import math
from itertools import count

from trtasync.scheduler.requests import Request
from trtasync.scheduler.states import EXPIRE, EXPIRED, TRANSITIONS

GRACE = 0.02
"""Seconds after its deadline at which a request left uncomputed is looked at again: its caller's
scope has ended by then, or its deadline was moved and it is computed after all."""


class Expired:
    """A heap ordered by when each is examined again."""

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Request]] = []
        """Empty when nothing has expired."""
        self.count: int = 0
        """Requests added so far."""
        self._serial = count(1)

    def add(self, request: Request, now: float) -> None:
        """Add one."""
        self.count += 1
        request.state = TRANSITIONS[request.state][EXPIRE]
        due = max(request.deadline, now) + GRACE
        heapq.heappush(self.heap, (due, next(self._serial), request))

    def pop_due(self, now: float) -> Request | None:
        """Remove and return one that is due although its caller is still there; None if there is
        none."""
        while self.heap and (self.heap[0][0] <= now or self.heap[0][2].state is not EXPIRED):
            request = heapq.heappop(self.heap)[2]
            if request.state is EXPIRED:  # otherwise its caller went away
                return request
        return None

    @property
    def next_due(self) -> float:
        """When to examine the next one; inf for never."""
        return self.heap[0][0] if self.heap else math.inf

    def requests(self) -> list[Request]:
        """All of them."""
        return [request for _, _, request in self.heap if request.state is EXPIRED]

    def clear(self) -> None:
        """Forget them."""
        self.heap.clear()
