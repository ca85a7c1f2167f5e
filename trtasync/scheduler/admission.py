"""Who is let in, and who gives way, when many wait."""

import math
from collections.abc import Callable, Iterable

from trtasync.errors import QueueFull, RequestTooLarge, TrtasyncError
from trtasync.scheduler.batches import Batch
from trtasync.scheduler.options import PolicyOptions
from trtasync.scheduler.ranks import Ranks
from trtasync.scheduler.rate import ServiceRate
from trtasync.scheduler.requests import DEFAULT_LEVEL, Request, whole
from trtasync.scheduler.slot_pool import SlotLike

LEAST = 2
"""Largest batches that may wait whatever `max_queue_time` says: one that goes when the device is
free, and one behind it by which the rate of service is measured."""


class Admission:
    """Holds each request against what may wait.

    `max_queue_time` is a number of rows, too: those that are served in that time. The rate moves
    with each batch that ends, so a request that comes costs nothing more than comparing rows.

    Who gives way is known only while it matters: the waiting requests are ranked when the queue is
    full for the first time, provided that somebody has used priorities, and forgotten when half of
    it is empty again. So plain traffic pays nothing, and no request is ranked twice in one rush.

    Attributes:
        rejected: requests refused so far.
    """

    def __init__(
        self,
        options: PolicyOptions,
        waiting: Callable[[], Iterable[Request]],
        displace: Callable[[Request, QueueFull, float], None],
    ):
        """Start with an empty queue.

        Args:
            options: `max_queue_size`, `max_queue_time` and the largest batch count here.
            waiting: all requests that wait, running and done ones not among them.
            displace: takes a request out of the queue, at the time given; the error is for its
                caller.
        """
        self._most = options.max_queue_size
        self._time = options.max_queue_time
        self._least = LEAST * options.max_batch_size
        self._rate = ServiceRate(options.max_batch_size)
        self._limit = self._most
        self._waiting = waiting
        self._displace = displace
        self._priorities = False
        self._ranks: Ranks | None = None
        self.rejected: int = 0

    @property
    def unseen(self) -> int:
        """As long as no more rows wait, a plain request is let in without being seen here.

        0 while it is known who gives way: then every request that comes or goes is to be told.
        """
        return self._limit if self._ranks is None else 0

    def make_room(self, request: Request, queued: int) -> TrtasyncError | None:
        """Turn out who has to give way to a request.

        Args:
            request: the request.
            queued: rows that wait.

        Returns:
            why the request cannot come in: `RequestTooLarge` or `QueueFull`. Nobody gave way then.
        """
        self._priorities = self._priorities or request.level != DEFAULT_LEVEL
        rows = request.rows
        if not self._rate.fresh(request.arrival):
            self._limit = self._most  # measured anew, or nothing would correct a slow measurement
        excess = queued + rows - (self._limit if queued else self._most)
        if excess <= 0:
            return None
        if rows > self._most:
            return self._too_large(rows)
        leaving: list[Request] = []
        if self._priorities:
            if self._ranks is None:
                self._ranks = Ranks(self._waiting())
            # A limit that fell asks nobody else to go: what is in the queue was accepted.
            leaving = self._ranks.give_way(request.level, min(rows, excess))
        if not leaving:
            self.rejected += 1
            return self._full(rows, queued)
        for other in leaving:
            self._displace(other, self._displaced(other, request, queued), request.arrival)
        return None

    def entered(self, request: Request) -> None:
        """A request waits."""
        if self._ranks is not None:
            self._ranks.add(request)

    def left(self, request: Request) -> None:
        """A request does not wait any more, or cannot give way because a chunk of it runs."""
        if self._ranks is not None:
            self._ranks.discard(request)

    def launched(self, batch: Batch[SlotLike], queued: int) -> None:
        """A batch goes, and `queued` rows are left."""
        if 2 * queued <= self._limit:
            self._ranks = None
        for entry in batch.entries:
            self.left(whole(entry))

    def finished(self, batch: Batch[SlotLike], queued: int, now: float) -> None:
        """A batch is done while `queued` rows wait; only for `max_queue_time`."""
        assert self._time is not None
        self._rate.finished(batch.size, batch.arrival, queued, now)
        served = self._rate.per_second * self._time
        self._limit = int(min(self._most, max(self._least, served)))

    def forget(self) -> None:
        """Nothing waits any more."""
        self._ranks = None

    def _too_large(self, rows: int) -> RequestTooLarge:
        limit = self._most
        return RequestTooLarge(
            f"a request of {rows} rows never fits max_queue_size={limit}; "
            "send it in smaller requests or raise max_queue_size.",
            limit=limit,
            rows=rows,
        )

    def _full(self, rows: int, queued: int) -> QueueFull:
        limit, wait = self._limit, self._wait(queued)
        if limit < self._most:
            return QueueFull(
                f"{queued} rows are waiting, which takes {wait:.3g} s, and {rows} more would "
                f"exceed max_queue_time={self._time}; retry later, shed load, or raise "
                "max_queue_time.",
                limit=limit,
                rows=rows,
                queued=queued,
                wait=wait,
            )
        return QueueFull(
            f"{queued} rows are waiting and {rows} more would exceed "
            f"max_queue_size={limit}; retry later, shed load, or raise max_queue_size.",
            limit=limit,
            rows=rows,
            queued=queued,
            wait=wait,
        )

    def _displaced(self, request: Request, other: Request, queued: int) -> QueueFull:
        return QueueFull(
            f"{queued} rows are waiting, and a request of priority {other.level} took the place of "
            f"this one of priority {request.level}; retry later, shed load, or raise "
            f"{'max_queue_time' if self._limit < self._most else 'max_queue_size'}.",
            limit=self._limit,
            rows=request.rows,
            queued=queued,
            wait=self._wait(queued),
            displaced=True,
        )

    def _wait(self, queued: int) -> float | None:
        """Seconds in which all that waits is served; None where that is not measured."""
        served = self._rate.per_second
        return queued / served if served < math.inf else None
