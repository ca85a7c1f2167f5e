"""Lanes, and what those that share a device have in common: how many batches are at work on it, and
how much they hold each other up."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from trtasync.scheduler.batches import Batch
    from trtasync.scheduler.slot_pool import SlotLike

    AnyBatch: TypeAlias = Batch[SlotLike]

FULL = 0.85
"""A device has no room for another batch beside those at work once they keep this much of it busy.
At 1.0 two full batches run side by side, each slower, to no gain; at 0.7 small ones leave the
device half idle (docs/policies.md)."""


class LaneState:
    """What the scheduler keeps of a lane.

    Attributes:
        index: which.
        device: which device it shares.
        depth: batches it takes at once.
        running: batches in flight on it, in order.
        alive: False once it died.
        retrying: batches that its thread runs again in halves; nothing is launched meanwhile.
    """

    __slots__ = ("alive", "depth", "device", "index", "retrying", "running")

    def __init__(self, index: int, device: int = 0, depth: int = 1):
        self.index: int = index
        self.device: int = device
        self.depth: int = depth
        self.running: list[AnyBatch] = []
        self.alive: bool = True
        self.retrying: int = 0

    @property
    def free(self) -> bool:
        """It takes another batch."""
        return self.alive and not self.retrying and len(self.running) < self.depth

    def ends_at(self, now: float) -> float:
        """When its last batch is predicted to be done (now, when it is idle)."""
        end = now
        for index, batch in enumerate(self.running):
            start = batch.started if index == 0 else max(end, batch.started)
            end = start + batch.queue.cost.seconds(batch.run_rows)
        return max(now, end)


class DeviceState:
    """What runs on one device.

    Its clock tells how far a batch would have come that takes turns with all others at work: with
    n of them it runs at 1/n of the time. Compared with the time that passed, this measures how
    much batches really hold each other up (`CostCurve.learn_contention`).

    Attributes:
        lanes: those on it.
        running: batches launched and not finished.
        pressure: how much of the device the batches at work keep busy; 1.0 is all of it.
        shared: by several lanes.
    """

    __slots__ = ("_at", "_at_work", "_clock", "lanes", "pressure", "running", "shared")

    def __init__(self, lanes: Sequence[LaneState]):
        self.lanes: Sequence[LaneState] = lanes
        self.running: int = 0
        self.pressure: float = 0.0
        self.shared: bool = len(lanes) > 1  # otherwise there is nobody to measure against
        self._at_work = 0
        self._clock = 0.0
        self._at = 0.0

    @property
    def pressed(self) -> bool:
        """Somebody who waits for a batch at work has a deadline."""
        return any(batch.deadline < math.inf for lane in self.lanes for batch in lane.running)

    @property
    def full(self) -> bool:
        """Another batch would only slow down those at work."""
        return self.pressure >= FULL

    def launched(self, batch: "AnyBatch", lane: LaneState, now: float) -> None:
        """A batch goes to one of its lanes."""
        lane.running.append(batch)
        self.running += 1
        if self.shared and len(lane.running) == 1:
            self._begin(batch, now)

    def finished(self, batch: "AnyBatch", lane: LaneState, now: float, learn: bool) -> None:
        """A batch is done.

        Args:
            batch: which.
            lane: where it ran.
            now: the time.
            learn: its times say something.
        """
        at_head = lane.running[0] is batch
        lane.running.remove(batch)
        self.running -= 1
        if not self.shared or not at_head:
            return
        self._clock += (now - self._at) / self._at_work
        self._at = now
        self._at_work -= 1
        self.pressure = self.pressure - batch.pressure if self._at_work else 0.0
        if learn:
            elapsed, share = now - batch.began, self._clock - batch.share
            batch.queue.cost.learn_contention(batch.run_rows, elapsed, share, now)
        if lane.running:
            self._begin(lane.running[0], now)

    def ends_at(self, now: float) -> float:
        """When the first of the batches at work is predicted to be done."""
        return min(lane.ends_at(now) for lane in self.lanes if lane.running)

    def _begin(self, batch: "AnyBatch", now: float) -> None:
        """Nothing is before it on its lane any more."""
        if self._at_work:
            self._clock += (now - self._at) / self._at_work
        self._at = now
        self._at_work += 1
        batch.began, batch.share = now, self._clock
        batch.pressure = batch.queue.cost.contention(batch.run_rows, now)
        self.pressure += batch.pressure
