"""Freeing the memory of large slots that are not used."""

import math

from trtasync.runtimes import Slot
from trtasync.scheduler.slot_pool import SlotPool

UNUSED = 1.0
"""Seconds after the last large batch at which slots free the memory that it took."""


class Shrinking:
    """Remembers which slots hold much memory.

    Attributes:
        large: those slots.
    """

    def __init__(self, slots: SlotPool[Slot]):
        """No slot holds much yet.

        Args:
            slots: only free ones are shrunk.
        """
        self._slots = slots
        self.large: set[Slot] = set()
        self._since = 0.0

    def note(self, slot: Slot, now: float) -> None:
        """Note that a batch that has ended left much memory in its slot."""
        self.large.add(slot)
        self._since = now

    def shrink(self, now: float) -> float:
        """Shrink free large slots once none was used for a while; return when to call again, inf
        for never."""
        due = self._since + UNUSED
        if now < due:
            return due
        for slot in [slot for slot in self.large if slot in self._slots]:
            slot.shrink()
            self.large.discard(slot)
        return now + UNUSED if self.large else math.inf

    def forget(self) -> None:
        """Forget all slots: nothing will run any more."""
        self.large.clear()
