"""A batch goes to a lane: who goes with it, and what is kept of it until it ends."""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Generic

from trtasync.scheduler.batches import Batch
from trtasync.scheduler.devices import DeviceState, LaneState
from trtasync.scheduler.options import PolicyOptions
from trtasync.scheduler.requests import Entry, Request, whole
from trtasync.scheduler.row_allocator import RowAllocator
from trtasync.scheduler.slot_pool import SlotT
from trtasync.scheduler.states import END, FORMING, LAUNCH, QUEUED, RESERVED, TRANSITIONS
from trtasync.scheduler.trimming import Trimming


class Launching(Generic[SlotT]):
    """Makes batches ready for their lanes.

    Attributes:
        in_flight: rows running.
    """

    def __init__(
        self,
        options: PolicyOptions,
        lanes: Sequence[LaneState],
        devices: Mapping[int, DeviceState],
        rows: RowAllocator[SlotT],
        trimming: Trimming[SlotT],
        abandoned: Callable[[Batch[SlotT]], Sequence[Entry]],
        set_aside: Callable[[Request, Batch[SlotT]], None],
        withdraw: Callable[[Request, float], None],
    ):
        """Nothing runs.

        Args:
            options: how batches are formed.
            lanes: all lanes, by index.
            devices: what runs on each.
            rows: what forms, and where.
            trimming: leaves out of a batch who would be late.
            abandoned: see `Policy`.
            set_aside: takes over a request, not complete, that loses its rows in a batch.
            withdraw: takes a request out that nobody waits for, at the time given.
        """
        self._sizes = options.batch_sizes
        self._lanes = lanes
        self._devices = devices
        self._rows = rows
        self._trimming = trimming
        self._abandoned = abandoned
        self._set_aside = set_aside
        self._withdraw = withdraw
        self.in_flight: int = 0

    def launch(self, batch: Batch[SlotT], lane: LaneState, now: float) -> bool:
        """Make a batch ready for a lane; False if nothing was left of it."""
        rows = self._rows
        if batch.room:
            rows.close_up(batch)
        for entry in self._abandoned(batch):
            request = whole(entry)
            if request.state is RESERVED:
                self._set_aside(request, batch)
            else:
                self._withdraw(request, now)
        if batch.gone == batch.size:
            if batch.state is FORMING:
                rows.dissolve(batch, now)
            return False
        queue, fit, rest = batch.queue, None, []
        if batch.deadline < math.inf or queue.waiting.rows:
            begins = lane.ends_at(now)
            fit = self._trimming.fit(queue, batch.rows + queue.waiting.rows, begins, now)
            rest = self._trimming.shrink(batch, fit, now)
            if batch.gone == batch.size:
                return False
        if batch.gone:
            batch.compact()
            if not rest:
                self._refill(batch, lane, now)
        if fit is not None and batch.size < fit.rows:
            rows.fill(batch, fit, now)
        sizes = self._sizes
        if sizes and batch.size not in sizes:
            rest += self._trimming.cut(batch, lane.ends_at(now))
        rows.forming.remove(batch)
        if queue.forming is batch:
            queue.forming = None
        if rest:
            rows.form_rest(queue, rest, now)
        self._start(batch, lane, now)
        return True

    def _refill(self, batch: Batch[SlotT], lane: LaneState, now: float) -> None:
        """Rows of batches that form behind it take the places of those who left a batch."""
        queue = batch.queue
        behind = [each for each in self._rows.forming if each.queue is queue and each is not batch]
        if not behind:
            return
        for other in behind:
            for entry in self._abandoned(other):
                if whole(entry).state is QUEUED:
                    self._withdraw(whole(entry), now)
        most = batch.rows + sum(other.rows for other in behind)
        fit = self._trimming.fit(queue, most, lane.ends_at(now), now)
        if batch.deadline >= fit.ends:
            self._rows.refill(batch, fit, now)

    def _start(self, batch: Batch[SlotT], lane: LaneState, now: float) -> None:
        """No row comes or goes any more."""
        batch.state = TRANSITIONS[batch.state][LAUNCH]
        batch.lane = lane.index
        batch.started = now
        size, sizes = batch.size, self._sizes
        batch.run_rows = sizes[bisect_left(sizes, size)] if sizes else size
        self._rows.taken -= size
        self.in_flight += size
        device = self._devices[lane.device]
        if device.shared:
            device.launched(batch, lane, now)
        else:  # nobody it could hold up
            device.running += 1
            lane.running.append(batch)

    def finished(self, batch: Batch[SlotT], now: float, seconds: float | None) -> None:
        """A batch is done: see `Policy.finished`."""
        batch.state = TRANSITIONS[batch.state][END]
        self.in_flight -= batch.size
        if seconds is not None:
            batch.queue.cost.learn(batch.run_rows, seconds, now)
        lane = self._lanes[batch.lane]
        device = self._devices[lane.device]
        if device.shared:
            device.finished(batch, lane, now, seconds is not None)
        else:
            device.running -= 1
            lane.running.remove(batch)
