"""Requests left uncomputed because they cannot make their deadline; their callers still wait."""

import heapq
import math
from itertools import count

from trtasync.scheduler.work import Request

GRACE = 0.02
"""Seconds after its deadline at which a request left uncomputed is looked at again: its caller's
scope has ended by then, or its deadline was moved and it is computed after all."""


class Expired:
    """A heap by the time at which each is looked at again."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Request]] = []
        self._serial = count(1)

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, request: Request, now: float) -> float:
        """Keep one; returns when it is due."""
        request.gone = request.expired = True
        due = max(request.deadline, now) + GRACE
        heapq.heappush(self._heap, (due, next(self._serial), request))
        return due

    def pop_due(self, now: float) -> Request | None:
        """One whose caller is still there although it is due; None when there is no such."""
        while self._heap and (self._heap[0][0] <= now or not self._heap[0][2].expired):
            request = heapq.heappop(self._heap)[2]
            if request.expired:  # otherwise its caller went away
                return request
        return None

    @property
    def next_due(self) -> float:
        """When to look again; inf for never."""
        return self._heap[0][0] if self._heap else math.inf

    def requests(self) -> list[Request]:
        """All of them."""
        return [request for _, _, request in self._heap if request.expired]

    def clear(self) -> None:
        """Forget them."""
        self._heap.clear()
