"""Requests left uncomputed because they cannot make their deadline; their callers still wait."""

import heapq
import math
from itertools import count

from trtasync.scheduler.work import Ticket

GRACE = 0.02
"""Seconds after its deadline at which a request left uncomputed is looked at again: its caller's
scope has ended by then, or its deadline was moved and it is computed after all."""


class Parked:
    """A heap by the time at which each is looked at again."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Ticket]] = []
        self._serial = count(1)

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, ticket: Ticket, now: float) -> float:
        """Keep one; returns when it is due."""
        ticket.gone = ticket.parked = True
        due = max(ticket.deadline, now) + GRACE
        heapq.heappush(self._heap, (due, next(self._serial), ticket))
        return due

    def pop_due(self, now: float) -> Ticket | None:
        """One whose caller is still there although it is due; None when there is no such."""
        while self._heap and (self._heap[0][0] <= now or not self._heap[0][2].parked):
            ticket = heapq.heappop(self._heap)[2]
            if ticket.parked:  # otherwise its caller went away
                return ticket
        return None

    @property
    def next_due(self) -> float:
        """When to look again; inf for never."""
        return self._heap[0][0] if self._heap else math.inf

    def tickets(self) -> list[Ticket]:
        """All of them."""
        return [ticket for _, _, ticket in self._heap if ticket.parked]

    def clear(self) -> None:
        """Forget them."""
        self._heap.clear()
