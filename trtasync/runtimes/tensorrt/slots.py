"""Slots in pinned memory, from which the copy engine reads rows and to which it writes answers."""

import math
from collections.abc import Sequence
from typing import Any

from trtasync.memory.slots import HostSlot, Views, WriteRow
from trtasync.memory.staging import Copies
from trtasync.model.arrays import Array, Shape
from trtasync.model.tensors import ModelSpec
from trtasync.requests.signature import Layout
from trtasync.runtimes import Times
from trtasync.runtimes.cuda import (
    Device,
    DeviceArray,
    Event,
    LentInput,
    PinnedBuffer,
    aligned,
    as_lent,
)
from trtasync.runtimes.tensorrt.sizes import Sizes


class PinnedSlot(HostSlot):
    """The host memory of one batch of one lane, and the events that track its progress.

    All of it is allocated upfront at the largest size that the plan allows, so that a running
    engine allocates nothing. It starts zeroed, and only checked rows are ever written. So with one
    input of one fixed shape, whatever is behind a batch's rows is always a valid row, and padding
    needs no copy; otherwise the last row is repeated, because pieces of rows of another shape, or
    of different requests, may not be valid together.

    Attributes:
        lent_rows: (input, row, rows, array) of what the GPU copies directly from the callers'
            memory: device memory, or pinned memory of `Engine.empty_input`.
        device_outputs: (row, rows, arrays) of the answers that stay there.
        filled: rows to be copied: those that callers wait for, and padding that repeats them.
        padded_from: the first row of such padding; 0 if there is none.
        done: fires when the batch and its copies are done.
        begin: fires when a batch that is measured starts.
        copied: fires when its inputs are on the device.
        computed: fires when its network has run.
        stages: how many of them were recorded for this batch: 0 (not measured), 1 or 3.
        ended: `done` is known to have fired.
    """

    def __init__(
        self,
        spec: ModelSpec,
        capacity: int,
        lane: int,
        device: Device,
        sizes: Sizes,
        copies: Copies,
        inline_bytes: int,
    ):
        """Lock the memory and create the events.

        Args:
            spec: the model.
            capacity: rows.
            lane: index of the lane that owns it.
            device: the device for which it is pinned.
            sizes: bytes per input and per output.
            copies: how large rows are staged.
            inline_bytes: arrays up to this size are copied even if they are pinned: that takes less
                than a copy of their own on the stream.
        """
        super().__init__(spec, capacity, lane)
        inputs = [sizes.inputs[tensor.name] for tensor in spec.row_inputs]
        arranged = {
            tensor.name: sizes.inputs[tensor.name]
            for tensor in spec.inputs
            if spec.batched and not tensor.host and tensor.batch_axis != 0
        }
        wanted = [*inputs, *sizes.outputs, *arranged.values()]
        self._device = device
        self._events: list[Event] = []
        self._memory = PinnedBuffer(device, sum(map(aligned, wanted)))
        regions, start = [], 0
        for size in wanted:
            regions.append(self._memory.array[start : start + size])
            start += aligned(size)
        behind = len(inputs) + len(sizes.outputs)
        self._buffers = regions[: len(inputs)]
        self._results = regions[len(inputs) : behind]
        self._areas = dict(zip(arranged, regions[behind:], strict=True))
        self._dtypes = {tensor.name: tensor.dtype for tensor in spec.inputs}
        self._lends = [not spec.batched or tensor.batch_axis == 0 for tensor in spec.row_inputs]
        self._grown: dict[int, PinnedBuffer] = {}
        self.copies: Copies | None = copies
        self._inline_bytes = inline_bytes
        self.lent_rows: list[tuple[int, int, int, LentInput]] = []
        self.device_outputs: list[tuple[int, int, list[DeviceArray]]] = []
        self._noted = 0  # the row after the last one with an entry in these lists
        self.filled: int = 0
        self.padded_from: int = 0
        dims = [dim for tensor in spec.row_inputs for dim in spec.row_dims(tensor)]
        fixed = all(isinstance(dim, int) for dim in dims)
        self._repeats = len(inputs) > 1 or not fixed
        self.stages = 0
        self.ended: bool = False
        self.holds_more: bool = False
        try:
            self.done: Event = self._event(blocking=True)
            self.begin: Event = self._event()
            self.copied: Event = self._event()
            self.computed: Event = self._event()
        except BaseException:
            self.close()
            raise

    def _event(self, blocking: bool = False) -> Event:
        event = Event(self._device, blocking=blocking, timing=True)
        self._events.append(event)
        return event

    def bind(self, layout: Layout) -> Views:
        """See `HostSlot.bind`; an abandoned batch may have left something here."""
        self.let_go()
        self.filled = self.padded_from = 0
        return super().bind(layout)

    def let_go(self) -> bool:
        """Release the callers' memory; the memory locked here is kept."""
        self.lent_rows.clear()
        self.device_outputs.clear()
        self._noted = 0
        self.holds_more = False
        return False

    def _view(self, layout: Layout) -> Views:
        views = super()._view(layout)
        views.write = self._writer(views.writers)
        return views

    def _writer(self, writers: Sequence[WriteRow]) -> WriteRow:
        writers = [self._lending(index, write) for index, write in enumerate(writers)]

        def write_one(row: int, count: int, array: Any) -> None:
            if row < self._noted:
                self._take_over(row, count)
            writers[0](row, count, array)

        def write(row: int, count: int, arrays: Any) -> None:
            if row < self._noted:
                self._take_over(row, count)
            for write_input, array in zip(writers, arrays, strict=True):
                write_input(row, count, array)

        return write_one if len(writers) == 1 else write

    def _lending(self, index: int, write_host: WriteRow) -> WriteRow:
        """A writer that records what the GPU can copy directly, and copies the rest."""

        # `bind` sets the views only after this, so the layout is looked up per large row
        def write(row: int, count: int, array: Any) -> None:
            if type(array) is not LentInput:
                lent = as_lent(array) if array.nbytes > self._inline_bytes else None
                if lent is None or not self._is_bare(index):
                    write_host(row, count, array)
                    return
                array = lent
            self.holds_more = True
            self.lent_rows.append((index, row, count, array))
            self._noted = max(self._noted, row + count)

        return write

    def _is_bare(self, index: int) -> bool:
        """Whether rows of this input are copied as they are: rows first on the device, no
        padding."""
        return self._lends[index] and self.bound.layout.fills[index] is None

    @property
    def bound(self) -> Views:
        """The views of the layout that it is bound to."""
        assert self.views is not None
        return self.views

    def area(self, name: str, shape: Shape) -> Array:
        """Memory of an input as the model takes it, if that is not rows first."""
        dtype = self._dtypes[name]
        size = math.prod(shape) * dtype.itemsize
        return self._areas[name][:size].view(dtype).reshape(shape)

    def lends_all(self, index: int, rows: int) -> bool:
        """Whether all of the first rows of an input are lent, so none has to be copied from
        here."""
        lent = sum(entry[2] for entry in self.lent_rows if entry[0] == index and entry[1] < rows)
        return lent >= rows

    def _take_over(self, row: int, count: int) -> None:
        """Rows get new owners: forget what was recorded for owners that have left."""
        self.lent_rows = [
            entry for entry in self.lent_rows if not _overlap(entry[1], entry[2], row, count)
        ]
        self.device_outputs = [
            entry for entry in self.device_outputs if not _overlap(entry[0], entry[1], row, count)
        ]

    def keep_on_device(self, row: int, rows: int, arrays: Sequence[Any], offset: int) -> None:
        """See `Slot.keep_on_device`."""
        self.holds_more = True
        self._noted = max(self._noted, row + rows)
        self.device_outputs.append((row, rows, [array[offset : offset + rows] for array in arrays]))

    def move(self, source: int, target: int, count: int) -> None:
        """See `HostSlot.move`; what is recorded about rows moves with them."""
        super().move(source, target, count)
        self.lent_rows = [
            (index, row - source + target, rows, array)
            for index, row, rows, array in self.lent_rows
            if source <= row < source + count
        ] + [entry for entry in self.lent_rows if not target <= entry[1] < source + count]
        self.device_outputs = [
            (row - source + target, rows, arrays)
            for row, rows, arrays in self.device_outputs
            if source <= row < source + count
        ] + [entry for entry in self.device_outputs if not target <= entry[0] < source + count]

    def pad(self, rows: int, run_rows: int) -> None:
        """Make the rows after the real ones valid; remember how many have to be copied."""
        if self._repeats:
            super().pad(rows, run_rows)
            self.padded_from, self.filled = rows, run_rows
        else:
            self.filled = rows

    def result(self, index: int, size: int) -> Array:
        """`size` bytes for an output, grown if its size depends on data. The slot must be idle."""
        region = self._results[index]
        if size > region.size:
            grown = PinnedBuffer(self._device, 2 * size)
            if index in self._grown:
                self._grown[index].close()
            self._grown[index] = grown
            region = self._results[index] = grown.array
        return region[:size]

    def times(self) -> Times | None:
        """How long the stages of the finished batch took; None if it was not measured."""
        if self.stages == 0:
            return None
        if self.stages == 1:
            return 0.0, self.done.seconds_since(self.begin), 0.0
        return (
            self.copied.seconds_since(self.begin),
            self.computed.seconds_since(self.copied),
            self.done.seconds_since(self.computed),
        )

    def close(self) -> None:
        """Free everything. Nothing may be in flight on the device.

        What is lent is freed when it comes back: using a view of freed memory would crash the
        process.
        """
        with self._lock:
            if self._loans:
                self._returned = lambda _: self._close_late()
                return
        self._free()

    def _close_late(self) -> None:
        self._device.enter_to_free()
        self._free()

    def _free(self) -> None:
        self._settle()  # copies for callers that left may still be writing
        self.let_go()
        self._known.clear()
        self.views: Views | None = None
        self.outputs: list[Array] = []
        for event in reversed(self._events):
            event.close()
        for grown in self._grown.values():
            grown.close()
        self._memory.close()


def _overlap(row: int, rows: int, other: int, others: int) -> bool:
    return row < other + others and other < row + rows
