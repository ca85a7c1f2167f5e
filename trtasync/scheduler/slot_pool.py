"""The slots of all lanes: which are free, and which are lent."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from trtasync.scheduler.devices import DeviceState, LaneState

if TYPE_CHECKING:
    from trtasync.scheduler.devices import AnyBatch


class SlotLike(Protocol):
    """All that the scheduler knows about a slot: the lane it belongs to, which runs it best; any
    lane of the same device can run it. None: any lane at all."""

    lane: int | None


SlotT = TypeVar("SlotT", bound=SlotLike)


class SlotPool(Generic[SlotT]):
    """All slots. A slot is free if nothing forms or runs in it, and nothing of it is lent.

    Attributes:
        all: every slot.
        shared: the free ones that any lane can run.
    """

    def __init__(
        self,
        lanes: Sequence[LaneState],
        devices: Mapping[int, DeviceState],
        slots: Sequence[SlotT],
    ):
        """Start with all slots free.

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
        """Mark a slot as free."""
        if slot.lane is None:
            self.shared.append(slot)
        else:
            self._owned.setdefault(slot.lane, []).append(slot)

    def take(self, forming: Iterable["AnyBatch"]) -> SlotT | None:
        """Take a slot for a new batch, of the least busy lane on the least busy device.

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
        """Whether something runs on this lane's device."""
        return self._devices[self._lanes[lane].device].running > 0

    def forget_lane(self, index: int) -> None:
        """A lane died, and with it the slots bound to it."""
        self._owned.pop(index, None)

    def is_usable(self, slot: SlotLike) -> bool:
        """Whether it was not lost with its lane."""
        return slot.lane is None or self._lanes[slot.lane].alive

    def can_lend(self, slot: SlotT) -> bool:
        """Whether enough slots are left without this one: one per lane."""
        home = slot.lane
        own = sum(each.lane == home for each in self.all)
        lent = sum(each.lane == home for each in self._lent)
        kept = 1 if home is not None else sum(lane.alive for lane in self._lanes)
        return own - lent > kept

    def lend(self, slot: SlotT) -> None:
        """Answers of its batch are in use: it is not free before it is `returned`."""
        self._lent.append(slot)

    def returned(self, slot: SlotT) -> bool:
        """It is no longer lent; True if it can be reused."""
        self._lent.remove(slot)
        return self.is_usable(slot)

    def mend(self, taken: Collection[SlotLike]) -> None:
        """Recompute the free slots: those not taken, lent or lost; the old record may be wrong."""
        self.shared.clear()
        self._owned.clear()
        for slot in self.all:
            if slot not in taken and slot not in self._lent and self.is_usable(slot):
                self.give(slot)

    def release(self) -> None:
        """Drop all slots: nothing will run any more."""
        self.all = ()
        self._lent.clear()
        self.shared.clear()
        self._owned.clear()
