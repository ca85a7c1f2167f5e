"""The slots of all lanes: which are free, and which are lent."""

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
    """All slots. Free are those in which nothing forms or runs, and of which nothing is lent.

    Attributes:
        all: every slot.
        shared: the free ones that any lane runs.
    """

    def __init__(
        self,
        lanes: Sequence[LaneState],
        devices: Mapping[int, DeviceState],
        slots: Sequence[SlotT],
    ):
        """All slots are free.

        Args:
            lanes: all lanes, by index.
            devices: what runs on each.
            slots: all slots.
        """
        self._lanes = lanes
        self._devices = devices
        self.all: Sequence[SlotT] = slots
        self._lent: list[SlotT] = []
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
        """A slot of a lane for a new batch: of the one with least to do, on the device that has.

        Args:
            forming: the batches that form.
        """
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

    def is_usable(self, slot: SlotLike) -> bool:
        """It was not lost with its lane."""
        return slot.lane is None or self._lanes[slot.lane].alive

    def can_lend(self, slot: SlotT) -> bool:
        """Whatever becomes of this slot, others are left to serve everybody: one per lane."""
        home = slot.lane
        own = sum(each.lane == home for each in self.all)
        lent = sum(each.lane == home for each in self._lent)
        kept = 1 if home is not None else sum(lane.alive for lane in self._lanes)
        return own - lent > kept

    def lend(self, slot: SlotT) -> None:
        """Answers of its batch are looked at: it is not free before it is `returned`."""
        self._lent.append(slot)

    def returned(self, slot: SlotT) -> bool:
        """It is not lent any more; True if it can be used again."""
        self._lent.remove(slot)
        return self.is_usable(slot)

    def mend(self, taken: Collection[SlotLike]) -> None:
        """Free is whatever is not taken, lent or lost; nobody knows what was so before."""
        self.shared.clear()
        self._owned.clear()
        for slot in self.all:
            if slot not in taken and slot not in self._lent and self.is_usable(slot):
                self.give(slot)

    def release(self) -> None:
        """Forget all slots: nothing will run any more."""
        self.all = ()
        self._lent.clear()
        self.shared.clear()
        self._owned.clear()
