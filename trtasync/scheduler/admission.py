"""Which requests are admitted, and which give way, when many are waiting."""

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
    """Checks each request against the limits of the queue.

    `max_queue_time` is converted to a number of rows, too: those that are served in that time. The
    rate is updated with each batch that ends, so an arriving request costs no more than comparing
    rows.

    Ranks are kept only while they matter: the waiting requests are ranked when the queue first
    fills up, provided that priorities have been used, and the ranks are dropped when half of it is
    empty again. So plain traffic pays nothing, and no request is ranked twice in one rush.

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
            waiting: returns all waiting requests, without running and finished ones.
            displace: takes a request out of the queue at the given time; the error is for its
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
        """While no more rows than this wait, a plain request may be admitted without asking here.

        0 while ranks are kept: then every arrival and departure must be reported.
        """
        return self._limit if self._ranks is None else 0

    def make_room(self, request: Request, queued: int) -> TrtasyncError | None:
        """Displace whatever has to give way to a request.

        Args:
            request: the request.
            queued: rows that wait.

        Returns:
            None if it can be admitted; otherwise why not, `RequestTooLarge` or `QueueFull`, and
            nothing was displaced.
        """
        self._priorities = self._priorities or request.level != DEFAULT_LEVEL
        rows = request.rows
        if not self._rate.fresh(request.arrival):
            self._limit = self._most  # anew, or nothing would ever correct a slow measurement
        excess = queued + rows - (self._limit if queued else self._most)
        if excess <= 0:
            return None
        if rows > self._most:
            return self._too_large(rows)
        leaving: list[Request] = []
        if self._priorities:
            if self._ranks is None:
                self._ranks = Ranks(self._waiting())
            # A lower limit displaces nothing more: what is in the queue was accepted.
            leaving = self._ranks.give_way(request.level, min(rows, excess))
        if not leaving:
            self.rejected += 1
            return self._full(rows, queued)
        for other in leaving:
            self._displace(other, self._displaced(other, request, queued), request.arrival)
        return None

    def entered(self, request: Request) -> None:
        """A request starts waiting."""
        if self._ranks is not None:
            self._ranks.add(request)

    def left(self, request: Request) -> None:
        """A request no longer waits, or cannot give way because a chunk of it is running."""
        if self._ranks is not None:
            self._ranks.discard(request)

    def launched(self, batch: Batch[SlotLike], queued: int) -> None:
        """A batch was launched, and `queued` rows are left."""
        if 2 * queued <= self._limit:
            self._ranks = None
        for entry in batch.entries:
            self.left(whole(entry))

    def finished(self, batch: Batch[SlotLike], queued: int, now: float) -> None:
        """A batch ended while `queued` rows wait; used only for `max_queue_time`."""
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
        """Seconds until everything that waits is served; None if that is not measured."""
        served = self._rate.per_second
        return queued / served if served < math.inf else None
