"""The free slots of all lanes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from trtasync.scheduler.devices import DeviceState, LaneState

if TYPE_CHECKING:
    from trtasync.scheduler.devices import AnyBatch


class SlotLike(Protocol):
    """All that the scheduler knows of a slot: the lane it belongs to, which runs it best; every
    lane of the same device runs it. None: any lane does."""

    lane: int | None


SlotT = TypeVar("SlotT", bound=SlotLike)


class SlotPool(Generic[SlotT]):
    """Slots in which nothing forms or runs, and nothing is lent.

    Attributes:
        shared: those that any lane runs.
    """

    def __init__(
        self,
        lanes: Sequence[LaneState],
        devices: Mapping[int, DeviceState],
        slots: Iterable[SlotT],
    ):
        """All slots are free.

        Args:
            lanes: all lanes, by index.
            devices: what runs on each.
            slots: all slots.
        """
        self._lanes = lanes
        self._devices = devices
        self.shared: list[SlotT] = []
        self._owned: dict[int, list[SlotT]] = {}
        for slot in slots:
            self.give(slot)

    def __bool__(self) -> bool:
        return bool(self.shared) or any(self._owned.values())

    def __contains__(self, slot: SlotT) -> bool:
        return slot in self.shared or any(slot in free for free in self._owned.values())

    def give(self, slot: SlotT) -> None:
        """It is free from now on."""
        if slot.lane is None:
            self.shared.append(slot)
        else:
            self._owned.setdefault(slot.lane, []).append(slot)

    def take(self, forming: Iterable["AnyBatch"]) -> SlotT | None:
        """A slot for a new batch: of the lane that has least to do, on the device that has.

        Args:
            forming: the batches that form.
        """
        if self.shared:
            return self.shared.pop()
        on_lane: dict[int, int] = {}
        on_device: dict[int, int] = {}
        for batch in forming:
            if (index := batch.slot.lane) is not None:
                device = self._lanes[index].device
                on_lane[index] = on_lane.get(index, 0) + 1
                on_device[device] = on_device.get(device, 0) + 1
        best, least = None, (0, 0)
        for lane in self._lanes:
            free = self._owned.get(lane.index)
            if free and lane.alive:
                load = (
                    self._devices[lane.device].running + on_device.get(lane.device, 0),
                    len(lane.running) + on_lane.get(lane.index, 0),
                )
                if best is None or load < least:
                    best, least = free, load
        return best.pop() if best else None

    def idle_devices(self) -> set[int]:
        """Devices with a free slot on which nothing runs."""
        return {
            lane.device
            for lane in self._lanes
            if lane.alive and self._owned.get(lane.index) and not self._devices[lane.device].running
        }

    def is_busy(self, lane: int) -> bool:
        """Something runs on this lane's device."""
        return self._devices[self._lanes[lane].device].running > 0

    def forget_lane(self, index: int) -> None:
        """A lane died, and the slots bound to it with it."""
        self._owned.pop(index, None)

    def reset(self, free: Collection[SlotT]) -> None:
        """These are free, and no others."""
        self.shared.clear()
        self._owned.clear()
        for slot in free:
            self.give(slot)
