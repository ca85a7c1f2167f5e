"""Who gives way when the queue is full."""

import heapq
from collections.abc import Iterable
from itertools import count
from typing import Any

from trtasync.scheduler.waiting import urgency
from trtasync.scheduler.work import LEVELS, Request


class Ranks:
    """Waiting requests, the least urgent first: by priority, then by deadline, then the newest.

    A heap of items that a dictionary finds again, so that one who leaves is let go of at once
    (O(1)) and its empty item is swept out later; coming and giving way are O(log n).
    """

    def __init__(self, requests: Iterable[Request]):
        """Rank what waits.

        Args:
            requests: what waits, none of it begun; in any order, as long as older ones of equal
                urgency come first.
        """
        self._heap: list[list[Any]] = []
        self._items: dict[Request, list[Any]] = {}
        self._serial = count()
        self._rows = [0] * (LEVELS + 1)
        for request in requests:
            self.add(request)

    def add(self, request: Request) -> None:
        """It waits."""
        level = request.level
        due = urgency(0, request.arrival, request.deadline)
        item = self._items[request] = [-level, -due, -next(self._serial), request]
        heapq.heappush(self._heap, item)
        self._rows[level] += request.rows

    def discard(self, request: Request) -> None:
        """It does not wait any more, or a part of it runs."""
        item = self._items.pop(request, None)
        if item is None:
            return
        item[-1] = None
        self._rows[request.level] -= request.rows
        if len(self._heap) > 2 * len(self._items) + LEVELS:
            self._heap = list(self._items.values())
            heapq.heapify(self._heap)

    def give_way(self, level: int, rows: int) -> list[Request]:
        """Take out requests of worse priority than `level` that make room for so many rows.

        Returns:
            the least urgent first; nobody if all of them together would not make that room.
        """
        if sum(self._rows[level + 1 :]) < rows:
            return []
        leaving = []
        while rows > 0:
            request = self._heap[0][-1]
            if request is None:
                heapq.heappop(self._heap)
                continue
            self.discard(request)
            rows -= request.rows
            leaving.append(request)
        return leaving
