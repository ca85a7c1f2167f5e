"""Lanes, and the shared state of those on one device: how many batches are running on it, and how
much they slow each other down."""

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
    """The scheduler's state of a lane.

    Attributes:
        index: its index.
        device: the device that it shares.
        depth: how many batches it takes at once.
        running: batches in flight on it, in order.
        alive: False once it has died.
        retrying: batches that its thread is rerunning in halves; nothing is launched meanwhile.
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
        """Whether it takes another batch."""
        return self.alive and not self.retrying and len(self.running) < self.depth

    def ends_at(self, now: float) -> float:
        """When its last batch is predicted to end (now, if it is idle)."""
        end = now
        for index, batch in enumerate(self.running):
            start = batch.started if index == 0 else max(end, batch.started)
            end = start + batch.queue.cost.seconds(batch.run_rows)
        return max(now, end)


class DeviceState:
    """The batches on one device.

    Its clock advances like a batch that takes turns with all other running ones: with n of them, at
    1/n of the speed of time. Compared with elapsed time, this measures how much batches really slow
    each other down (`CostCurve.learn_contention`).

    Attributes:
        lanes: its lanes.
        running: the number of batches launched and not finished.
        pressure: the fraction of the device that the running batches keep busy; 1.0 is all of it.
        shared: whether it has several lanes.
    """

    __slots__ = ("_at", "_at_work", "_clock", "lanes", "pressure", "running", "shared")

    def __init__(self, lanes: Sequence[LaneState]):
        self.lanes: Sequence[LaneState] = lanes
        self.running: int = 0
        self.pressure: float = 0.0
        self.shared: bool = len(lanes) > 1  # otherwise there is nothing to measure against
        self._at_work = 0
        self._clock = 0.0
        self._at = 0.0

    @property
    def pressed(self) -> bool:
        """Whether a caller that waits for a running batch has a deadline."""
        return any(batch.deadline < math.inf for lane in self.lanes for batch in lane.running)

    @property
    def full(self) -> bool:
        """Whether another batch would only slow down the running ones."""
        return self.pressure >= FULL

    def launched(self, batch: "AnyBatch", lane: LaneState, now: float) -> None:
        """A batch was launched on one of its lanes."""
        lane.running.append(batch)
        self.running += 1
        if self.shared and len(lane.running) == 1:
            self._begin(batch, now)

    def finished(self, batch: "AnyBatch", lane: LaneState, now: float, learn: bool) -> None:
        """A batch has ended.

        Args:
            batch: the batch.
            lane: where it ran.
            now: the time.
            learn: whether its times are meaningful.
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
        """When the first of the running batches is predicted to end."""
        return min(lane.ends_at(now) for lane in self.lanes if lane.running)

    def _begin(self, batch: "AnyBatch", now: float) -> None:
        """It is now first in line on its lane."""
        if self._at_work:
            self._clock += (now - self._at) / self._at_work
        self._at = now
        self._at_work += 1
        batch.began, batch.share = now, self._clock
        batch.pressure = batch.queue.cost.contention(batch.run_rows, now)
        self.pressure += batch.pressure
