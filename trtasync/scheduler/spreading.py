"""Idle devices take over batches that form for busy ones."""

from collections.abc import Sequence
from typing import Generic

from trtasync.scheduler.batches import Batch, RowAllocator
from trtasync.scheduler.devices import LaneState
from trtasync.scheduler.slot_pool import SlotT


class Spreading(Generic[SlotT]):
    """Re-forms batches in slots of busy devices while other devices are idle."""

    def __init__(self, lanes: Sequence[LaneState], rows: RowAllocator[SlotT]):
        """Move nothing yet.

        Args:
            lanes: all lanes, by index.
            rows: what forms, and where.
        """
        self._lanes = lanes
        self._rows = rows

    def spread(self, now: float) -> None:
        """Move what forms in a slot of a busy device to an idle device."""
        if not self._idle_devices():
            return
        for batch in sorted(self._stuck(), key=lambda batch: batch.urgency):
            self._rows.form_anew(batch)
            self._rows.give_back(batch.slot, now)
            if not self._idle_devices():  # it stays idle if the whole batch turned out to be late
                return

    def _idle_devices(self) -> set[int]:
        taken = {self._lanes[lane].device for _, lane in self._owned()}
        return self._rows.slots.idle_devices() - taken

    def _stuck(self) -> list[Batch[SlotT]]:
        """The batches that form in slots of busy devices."""
        return [batch for batch, lane in self._owned() if self._rows.slots.is_busy(lane)]

    def _owned(self) -> list[tuple[Batch[SlotT], int]]:
        """The batches that form in slots that belong to a lane, each with that lane."""
        forming = self._rows.forming
        return [(batch, batch.slot.lane) for batch in forming if batch.slot.lane is not None]
