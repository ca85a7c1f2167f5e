"""Every request in the scheduler, wherever it waits or forms, and how it leaves."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, cast

from trtasync.errors import QueueFull
from trtasync.scheduler.admission import Admission
from trtasync.scheduler.batches import Batch, RowAllocator
from trtasync.scheduler.expired import Expired
from trtasync.scheduler.options import PolicyOptions
from trtasync.scheduler.requests import Entry, Request, give_up, whole
from trtasync.scheduler.slot_pool import SlotLike, SlotT
from trtasync.scheduler.states import (
    EXPIRED,
    FORMING,
    LEAVE,
    OVER,
    QUEUED,
    RESERVED,
    REVIVE,
    TRANSITIONS,
)


class Roster(Generic[SlotT]):
    """Tracks the requests that have no rows, and removes requests.

    Attributes:
        held: admitted requests without rows, since their content is incomplete.
        expired: requests that cannot meet their deadline.
        admission: admits requests.
        rows: which requests have rows or wait for them.
    """

    rows: RowAllocator[SlotT]

    def __init__(
        self,
        options: PolicyOptions,
        displaced: Callable[[Request, QueueFull], None],
        keep_content: Callable[[Entry], None],
    ):
        """Start empty.

        Args:
            options: how many may wait.
            displaced: see `Policy`.
            keep_content: see `Policy`.
        """
        self._displaced = displaced
        self._keep_content = keep_content
        self.held: dict[Request, None] = {}
        self.expired: Expired = Expired()
        self.admission: Admission = Admission(options, self._waiting, self._displace)

    def place(self, request: Request) -> None:
        """The content of a request held without rows is complete: it gets rows, in several batches
        if need be, or waits for them."""
        del self.held[request]
        self.rows.place(request)

    def set_aside(self, request: Request, batch: Batch[SlotT]) -> None:
        """A request still being written loses its rows: the batch does not wait for it."""
        self._keep_content(request)
        batch.leave_out(request)
        self.held[request] = None

    def expire(self, request: Request, now: float) -> None:
        """It can no longer meet its deadline, and is not computed for now."""
        self._keep_content(request)
        self.expired.add(request, now)
        self._remove(request, now)

    def revive(self, now: float) -> None:
        """Readmit those whose callers are still there."""
        while (request := self.expired.pop_due(now)) is not None:
            request.queue.waiting.sweep()  # it must not be revived there as well
            request.state = TRANSITIONS[request.state][REVIVE]
            request.deadline = math.inf
            request.batch, request.chunks, request.placed = None, None, 0
            self.rows.taken += request.rows
            self.rows.place(request)
            self.admission.entered(request)

    def withdraw(self, request: Request, now: float) -> None:
        """See `Policy.withdraw`."""
        state = request.state
        if state is OVER:
            return
        request.state = TRANSITIONS[state][LEAVE]
        if state is RESERVED and request.batch is None and request not in self.held:
            return  # it arrived too late to take up room
        if state is not EXPIRED:
            self._remove(request, now)

    def _remove(self, request: Request, now: float) -> None:
        """Its rows are no longer needed, wherever they wait or form."""
        rows = self.rows
        self.admission.left(request)
        if request in self.held:
            del self.held[request]
            rows.taken -= request.rows
            return
        if request.batch is not None:
            self._vacate(request, now)
            return
        waiting = request.queue.waiting
        if request.placed < request.rows:
            rows.taken -= request.rows - request.placed
            waiting.withdraw(request)
        for chunk in request.chunks or ():
            if chunk.state is OVER:
                continue
            chunk.state = OVER
            if chunk.batch is None:
                rows.taken -= chunk.rows
                waiting.withdraw(chunk)
            else:
                self._vacate(chunk, now)

    def _vacate(self, entry: Entry, now: float) -> None:
        batch = cast(Batch[SlotT], entry.batch)
        if batch.state is not FORMING:
            return
        batch.gone += entry.rows
        self.rows.taken -= entry.rows
        if batch.gone == batch.size:
            self.rows.dissolve(batch, now)

    def drain(self) -> list[Request]:
        """See `Policy.drain`."""
        entries: list[Entry] = [*self.expired.requests(), *self.held]
        entries += self.rows.clear()
        self.expired.clear()
        self.held.clear()
        self.admission.forget()
        requests = list(dict.fromkeys(whole(entry) for entry in entries))
        for request in requests:
            give_up(request)
        return requests

    def mend(self, left: Sequence[Request], running: Sequence[SlotLike]) -> None:
        """See `Policy.mend`.

        Args:
            left: requests that left because of an exception.
            running: slots in which batches run.
        """
        for request in left:
            give_up(request)
            self.held.pop(request, None)
        held = sum(request.rows for request in self.held)
        self.rows.mend([request.queue for request in left], running, held)
        self.admission.forget()

    def unanswered(self, running: Sequence[Batch[SlotLike]]) -> int:
        """See `Policy.unanswered`."""
        entries: list[Entry] = [*self.expired.requests(), *self.rows.entries()]
        entries += [entry for batch in running for entry in batch.entries if entry.state is QUEUED]
        return len({id(whole(entry)) for entry in entries})

    def _waiting(self) -> Iterator[Request]:
        """All requests of which nothing has run, each once, older ones of a queue first."""
        entries = [*self.rows.entries(RESERVED), *self.held]
        requests = dict.fromkeys(whole(entry) for entry in entries)
        return (request for request in requests if not request.begun)

    def _displace(self, request: Request, error: QueueFull, now: float) -> None:
        # an earlier one may have freed a slot, and this one may have been late for it
        if request.state in (QUEUED, RESERVED):
            self._displaced(request, error)
            self.withdraw(request, now)
