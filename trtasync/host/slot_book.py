"""The slots of one client and their memory, found by their numbers."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trtasync.errors import EngineClosed, TrtasyncError
from trtasync.host.slots import SharedSlot
from trtasync.model.arrays import Array
from trtasync.shared.arena import MOST_SLOTS
from trtasync.shared.forms import ALIGNMENT, MOST_BYTES
from trtasync.shared.records import Nonsense, Record


@dataclass(slots=True)
class Segment:
    """Slots of one size.

    Attributes:
        first: number of the first one.
        slot_bytes: bytes of each.
        size: bytes of all.
        memory: the memory of all of them; None while it is not mapped.
        problem: why it never will be.
    """

    first: int
    slot_bytes: int
    size: int
    memory: Array | None = None
    problem: TrtasyncError | None = None


class SlotBook:
    """See the module's docstring."""

    def __init__(self, make: Callable[[int, Array | None], SharedSlot]):
        """Start without slots.

        Args:
            make: creates a slot from its number and its memory, if any, when it is first used.
        """
        self._make = make
        self._slots: list[SharedSlot | None] = []
        self._used: list[SharedSlot] = []
        self._segments: list[Segment] = []

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[SharedSlot]:
        """Those that have been used."""
        return iter(self._used)

    def add(self, record: Record) -> Segment:
        """Add slots that a `MEMORY` record announces.

        Raises:
            Nonsense: there would be too many, or their size is 0.
        """
        slots, slot_bytes, first = record.number, record.other, len(self._slots)
        size = slots * slot_bytes
        if (
            record.slot != first
            or not 0 < slots <= MOST_SLOTS - first
            or not 0 < size <= MOST_BYTES
            or slot_bytes % ALIGNMENT
        ):
            raise Nonsense(
                f"memory of {slots} slots of {slot_bytes} bytes from {record.slot} on was "
                f"announced, and {first} slots are known."
            )
        segment = Segment(first, slot_bytes, size)
        self._segments.append(segment)
        self._slots.extend([None] * slots)
        return segment

    def at(self, number: int) -> SharedSlot:
        """The slot with this number.

        Raises:
            Nonsense: there is none.
        """
        try:
            slot = self._slots[number]
        except IndexError:
            raise Nonsense(f"there is no slot {number}, of {len(self._slots)}.") from None
        return slot or self._first_use(number)

    def _first_use(self, number: int) -> SharedSlot:
        segment = self._segment(number)
        at, memory = (number - segment.first) * segment.slot_bytes, segment.memory
        part = None if memory is None else memory[at : at + segment.slot_bytes]
        slot = self._slots[number] = self._make(number, part)
        self._used.append(slot)
        return slot

    def _segment(self, number: int) -> Segment:
        firsts = [segment.first for segment in self._segments]
        return self._segments[bisect_right(firsts, number) - 1]

    def memory_of(self, slot: SharedSlot) -> Array:
        """The memory of a slot that is to be read.

        Raises:
            QueueFull: the host could not map it.
        """
        if slot.memory is None:
            problem = self._segment(slot.number).problem if self._segments else None
            raise problem or EngineClosed("the session has ended.")
        return slot.memory

    def memories(self) -> list[Array]:
        """All mapped memory."""
        return [each.memory for each in self._segments if each.memory is not None]

    def close(self) -> list[SharedSlot]:
        """Forget all of them; returns those that were used."""
        used = self._used
        self._slots, self._used, self._segments = [], [], []
        return used
