"""Which forming batch goes next, where, and when: the rules about time."""

import math
from collections.abc import Mapping, Sequence
from typing import Generic

from trtasync.scheduler.batches import Batch
from trtasync.scheduler.devices import DeviceState, LaneState
from trtasync.scheduler.options import PolicyOptions, padded
from trtasync.scheduler.slot_pool import SlotT
from trtasync.scheduler.states import RESERVED

HASTE = 0.002
"""Seconds before the last moment at which a batch goes because a deadline presses: timers fire
late and runs vary, and a request is left out of a batch that goes too late for it."""

PATIENCE = 2.0
"""How long a batch waits for more rows before it goes beside others on a device that has room: at
most this many times what one row takes, less the emptier the device is (docs/policies.md)."""


class Dispatch(Generic[SlotT]):
    """Chooses the next batch.

    Attributes:
        wake_at: when to choose again if nothing else happens; inf for never.
        waits: batches wait to grow (`max_queue_delay`), unless nothing new will arrive.
    """

    def __init__(
        self,
        options: PolicyOptions,
        lanes: Sequence[LaneState],
        devices: Mapping[int, DeviceState],
    ):
        """Wait for nothing.

        Args:
            options: how batches are formed.
            lanes: all lanes, by index.
            devices: the state of each device.
        """
        self._options = options
        self._capacity = options.max_batch_size
        self._lanes = lanes
        self._sole = lanes[0] if len(lanes) == 1 else None
        self._devices = devices
        self.wake_at: float = math.inf
        self.waits: bool = options.max_queue_delay > 0.0

    def choose(
        self, forming: Sequence[Batch[SlotT]], now: float
    ) -> tuple[Batch[SlotT], LaneState] | None:
        """The most urgent batch that should go now, with its lane; None if none should.

        A batch that would still grow goes early if it ranks before a ripe one on the same device:
        ripe ones could follow one another forever and keep a rare shape waiting.
        """
        if self._sole is not None and not self._sole.free:
            return None
        ripe: list[tuple[Batch[SlotT], LaneState]] = []
        growing: list[tuple[Batch[SlotT], LaneState]] = []
        for batch in forming:
            lane = self.lane_for(batch, now)
            if lane is not None and not _is_incomplete(batch):
                (ripe if self.is_ripe(batch, lane, now) else growing).append((batch, lane))
        if not ripe:
            return None
        if growing and self._options.max_queue_delay == 0.0:
            devices = {lane.device for _, lane in ripe}
            ripe += [choice for choice in growing if choice[1].device in devices]
        return min(ripe, key=lambda choice: choice[0].urgency) if len(ripe) > 1 else ripe[0]

    def lane_for(self, batch: Batch[SlotT], now: float) -> LaneState | None:
        """The lane that a batch would go to: a free one on the idlest device that can run it; None
        if all are taken."""
        home = batch.slot.lane
        lanes = self._lanes if home is None else self._devices[self._lanes[home].device].lanes
        free = [lane for lane in lanes if lane.free]
        if len(free) > 1:
            return min(free, key=lambda lane: self._load(lane, home, now))
        return free[0] if free else None

    def _load(self, lane: LaneState, home: int | None, now: float) -> tuple[float, ...]:
        busy = self._devices[lane.device].running
        return busy, len(lane.running), lane.ends_at(now), lane.index != home, lane.index

    def is_ripe(self, batch: Batch[SlotT], lane: LaneState, now: float) -> bool:
        """Whether it should go now. If not, `wake_at` is when time alone may change that."""
        options = self._options
        rows = batch.rows
        device = self._devices[lane.device]
        crowded = device.running > 1 and device.full and not self.waits
        if crowded and batch.deadline < math.inf and device.pressed:
            return False  # it would gain nothing, and running batches might miss their deadlines
        if batch.size >= self._capacity:
            return True
        latest = math.inf
        if batch.deadline < math.inf:
            latest = batch.deadline - batch.queue.cost.seconds(self._run_rows(rows)) - HASTE
        if self.waits:
            if rows >= min(options.preferred_batch_size, default=self._capacity):
                return True
            return self._due(min(batch.arrival + options.max_queue_delay, latest), now)
        if not device.running:
            return True
        if not lane.running:  # behind another batch, going early would not make it begin sooner
            if not device.full:
                # the busier the device, the more it pays not to split new requests
                one_row = batch.queue.cost.seconds(self._run_rows(1))
                patience = PATIENCE * device.pressure**2 * one_row
                latest = min(latest, batch.arrival + patience)
            if self._due(latest, now):
                return True
        if device.running > 1:
            return False  # when the next of them ends, the others leave no gap
        # never so early that a batch gets no time to grow beside one shorter than the lead
        lead = min(options.lead, batch.queue.cost.seconds(self._run_rows(rows)) / 4)
        return self._due(device.ends_at(now) - lead, now)

    def _due(self, when: float, now: float) -> bool:
        if when <= now:
            return True
        self.wake_at = min(self.wake_at, when)
        return False

    def _run_rows(self, rows: int) -> int:
        return padded(rows, self._options.batch_sizes)


def _is_incomplete(batch: Batch[SlotT]) -> bool:
    """Whether every request in it is still being written."""
    entries = batch.entries
    return entries[0].state is RESERVED and all(entry.state is RESERVED for entry in entries)
