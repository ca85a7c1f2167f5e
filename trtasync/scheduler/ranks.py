"""Which requests give way when the queue is full."""

import heapq
from collections.abc import Iterable
from itertools import count

from trtasync.scheduler.queues import urgency
from trtasync.scheduler.requests import LEVELS, Request


class Ranks:
    """Waiting requests, least urgent first: by priority, then by deadline, then newest first.

    A heap of items indexed by a dictionary, so that a request that leaves is released at once
    (O(1)) and its empty item is swept out later; adding and giving way are O(log n).
    """

    def __init__(self, requests: Iterable[Request]):
        """Rank the waiting requests.

        Args:
            requests: those that wait, none of them begun, in any order, as long as older ones of
                equal urgency come first.
        """
        self._heap: list[tuple[int, float, int, Request]] = []
        self._serials: dict[Request, int] = {}
        self._serial = count()
        self._rows = [0] * (LEVELS + 1)
        for request in requests:
            self.add(request)

    def add(self, request: Request) -> None:
        """Add a waiting request."""
        serial = self._serials[request] = next(self._serial)
        self._rows[request.level] += request.rows
        heapq.heappush(self._heap, _item(request, serial))

    def discard(self, request: Request) -> None:
        """Remove one that no longer waits, or of which a chunk is running."""
        if self._serials.pop(request, None) is None:
            return
        self._rows[request.level] -= request.rows
        if len(self._heap) > 2 * len(self._serials) + LEVELS:
            self._heap = [_item(*known) for known in self._serials.items()]
            heapq.heapify(self._heap)

    def give_way(self, level: int, rows: int) -> list[Request]:
        """Remove requests of worse priority than `level` to make room for this many rows.

        Returns:
            those removed, least urgent first; none if all of them together would not make that
            room.
        """
        if sum(self._rows[level + 1 :]) < rows:
            return []
        leaving = []
        while rows > 0:
            _, _, serial, request = self._heap[0]
            if self._serials.get(request) != -serial:
                heapq.heappop(self._heap)  # it left before
                continue
            self.discard(request)
            rows -= request.rows
            leaving.append(request)
        return leaving


def _item(request: Request, serial: int) -> tuple[int, float, int, Request]:
    return -request.level, -urgency(0, request.arrival, request.deadline), -serial, request
