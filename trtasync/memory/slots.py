"""Slots: the host memory in which a batch is formed, row by row, as requests are written."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from trtasync.memory.staging import Copies
from trtasync.model.arrays import Array
from trtasync.model.tensors import ModelSpec
from trtasync.requests.signature import Layout

GIL_COPY_BYTES = 64 * 1024
"""Rows up to this size are copied by memoryview assignment, which keeps the GIL.

numpy releases it for any copy of more than a few hundred elements, and a thread that releases the
GIL beside a busy one waits a whole switch interval (5 ms) to get it back: a factor of 30 to 150 in
requests/s. Larger rows take so long to copy that holding the GIL would be worse.
"""

SHARED_BYTES = 4096
"""Most bytes of shared inputs in a remembered layout: each value of theirs makes another layout."""

MAX_LAYOUTS = 64
"""Most layouts whose views a slot remembers."""

SPARE_BYTES = 1 << 20
"""Bytes that a slot always keeps; memory beyond that is freed when it is not needed."""

SPARE_FACTOR = 4
"""A slot may hold this many times the memory that its batches need."""

WriteRow = Callable[[int, int, Any], None]
"""write(row, count, arrays): put `count` rows at `row`; arrays as `RequestReader.read` gives."""


class Views:
    """One layout's arrays in a slot.

    Attributes:
        layout: the layout.
        inputs: per input, an array of (capacity, *row shape) in the slot's memory.
        writers: per input, a function that stages rows of it.
        write: stages rows of all inputs.
        vectors: per row, its memory, if a plain request (one row of a single, one-dimensional
            input) can be assigned to it directly; None for other layouts.
        cache: for objects that a backend derives from these views (bindings, graphs), by its own
            keys.
    """

    __slots__ = ("cache", "inputs", "layout", "vectors", "write", "writers")

    def __init__(self, layout: Layout, inputs: list[Array], copies: Copies | None = None):
        self.layout: Layout = layout
        self.inputs: list[Array] = inputs
        self.writers: list[WriteRow] = _writers(layout, inputs, copies)
        self.write: WriteRow = _writer(self.writers)
        self.vectors: list[memoryview[int]] | None = _vectors(layout, inputs)
        self.cache: dict[Any, Any] = {}


class HostSlot:
    """The input buffers of one batch, viewed through the layout of its queue.

    A slot belongs to one batch at a time, from the first row staged until the answers are out.

    Attributes:
        lane: index of the lane it belongs to, which runs it best, though any lane of the same
            device can run it. None: any lane of the backend can.
        views: the views of the current layout.
        outputs: the outputs of the last run, rows first.
        batch: the batch that it is bound to; set by the code that binds it.
        holds_more: it holds memory that `let_go` may free.
    """

    def __init__(self, spec: ModelSpec, capacity: int, lane: int | None = None):
        """Start without memory; `bind` allocates it for a layout.

        Args:
            spec: the model.
            capacity: rows (max_batch_size).
            lane: index of the lane it belongs to; None if any lane of the backend may run it.
        """
        self._inputs = spec.row_inputs
        self._capacity = capacity
        self._buffers = [self.allocate(0) for _ in spec.row_inputs]
        self._known: dict[Layout, Views] = {}
        self._held = 0  # bytes of buffers that grew with the bound layouts
        self._before = 0  # bytes that the previous batch needed
        self.copies: Copies | None = None
        self.lane = lane
        self.views: Views | None = None
        self.outputs: list[Array] = []
        self.batch: object = None
        self.holds_more: bool = True
        self._loans = 0
        self._returned: Callable[[HostSlot], None] | None = None
        self._lock = threading.Lock()

    def allocate(self, size: int) -> Array:
        """`size` bytes as uint8, 64-byte aligned (AVX-512 loads; ONNX Runtime's own choice)."""
        raw = np.empty(size + 64, np.uint8)
        start = -raw.ctypes.data % 64
        return raw[start : start + size]

    def bind(self, layout: Layout) -> Views:
        """Bind the (empty) slot to a layout, and return its views, which stage rows."""
        if self.copies is not None:  # rows of callers that left may still be being copied
            self.copies.forget()
        views = self._known.get(layout)
        if views is None:
            views = self._view(layout)
            if sum(array.nbytes for array in layout.shared) <= SHARED_BYTES:
                self._known[layout] = views
        self.views = views
        return views

    def let_go(self) -> bool:
        """Release callers' arrays after the end of a batch. Returns True if the slot holds much."""
        self.outputs = []
        if self._held > SPARE_BYTES:
            self._adapt()
        return self._held > SPARE_BYTES

    def _adapt(self) -> None:
        """Keep what the previous batch needed: the memory of a single large row among small ones
        is freed, and several in succession allocate theirs twice."""
        assert self.views is not None
        needed = sum(array.nbytes for array in self.views.inputs)
        before, self._before = self._before, needed
        if self._held > SPARE_FACTOR * before:
            self.shrink()

    def shrink(self) -> None:
        """Free all memory of an empty slot."""
        self._settle()
        self._known.clear()
        self.views = None
        self._buffers = [self.allocate(0) for _ in self._inputs]
        self._held = 0

    def _settle(self) -> None:
        if self.copies is not None:
            self.copies.wait()

    def _view(self, layout: Layout) -> Views:
        if len(self._known) >= MAX_LAYOUTS:
            self._known.clear()
        arrays, grew = [], False
        for index, (spec, shape) in enumerate(zip(self._inputs, layout.shapes, strict=True)):
            full = (self._capacity, *shape)
            size = math.prod(full) * spec.dtype.itemsize
            if size > self._buffers[index].size:
                self._known.clear()  # the views on the smaller buffer would keep it alive
                self._buffers[index] = self.allocate(size)
                grew = True
            arrays.append(self._buffers[index][:size].view(spec.dtype).reshape(full))
        if grew:
            self._note_growth()
        return Views(layout, arrays, self.copies)

    def _note_growth(self) -> None:
        held = sum(buffer.size for buffer in self._buffers)
        if self._held <= SPARE_BYTES:
            self._before = self._held or held
        self._held = held
        self.holds_more = self.holds_more or held > SPARE_BYTES

    def keep_on_device(self, row: int, rows: int, arrays: Sequence[Any], offset: int) -> None:
        """Not supported in host memory; `Backend.device_outputs` refuses it earlier."""
        raise NotImplementedError

    def lend(self, count: int, returned: "Callable[[HostSlot], None]") -> None:
        """Lend views of `outputs`: the slot is not free before all have come back.

        Args:
            count: number of answers.
            returned: called when the last one has come back, in the thread that returns it.
        """
        self._loans, self._returned = count, returned

    def take_back(self) -> None:
        """Take back one lent answer. Thread-safe."""
        with self._lock:
            self._loans -= 1
            returned = self._returned if self._loans == 0 else None
        if returned is not None:
            returned(self)

    def move(self, source: int, target: int, count: int) -> None:
        """Move staged rows down over rows that were withdrawn (the ranges may overlap)."""
        assert self.views is not None
        self._settle()
        for array in self.views.inputs:
            array[target : target + count] = array[source : source + count]

    def save(self, start: int, stop: int) -> list[Array]:
        """Copy the rows `start` to `stop` of every input, for `restore`."""
        assert self.views is not None
        return [array[start:stop].copy() for array in self.views.inputs]

    def restore(self, start: int, saved: list[Array]) -> None:
        """Write saved rows back."""
        assert self.views is not None
        for array, rows in zip(self.views.inputs, saved, strict=True):
            array[start : start + len(rows)] = rows

    def pad(self, rows: int, run_rows: int) -> None:
        """Fill up to `run_rows` with copies of the last row.

        Never with rows of an earlier batch, which may be the very rows that made it fail.
        """
        assert self.views is not None
        for array in self.views.inputs:
            array[rows:run_rows] = array[rows - 1]


def _writers(layout: Layout, inputs: list[Array], copies: Copies | None) -> list[WriteRow]:
    writers = [_input_writer(array, fill) for array, fill in zip(inputs, layout.fills, strict=True)]
    if copies is not None:
        writers = [
            copies.wrap(write, array.nbytes // max(1, len(array)))
            for write, array in zip(writers, inputs, strict=True)
        ]
    return writers


def _writer(writers: list[WriteRow]) -> WriteRow:
    if len(writers) == 1:
        return writers[0]

    def write(row: int, count: int, arrays: Any) -> None:
        for write_one, array in zip(writers, arrays, strict=True):
            write_one(row, count, array)

    return write


def _input_writer(array: Array, fill: tuple[int, float] | None) -> WriteRow:
    if fill is not None:
        return _padding_writer(array, *fill)
    return _flat_writer(array) if _is_small(array) else _array_writer(array)


def _is_small(array: Array) -> bool:
    if array.dtype.isbuiltin != 1:
        return False  # numpy exports no buffers of types that are not its own (bfloat16, fp8)
    return 0 < array.nbytes // max(1, len(array)) <= GIL_COPY_BYTES


def _vectors(layout: Layout, inputs: list[Array]) -> list[memoryview] | None:
    if len(inputs) > 1 or layout.fills[0] is not None:
        return None
    if inputs[0].ndim != 2 or not _is_small(inputs[0]):
        return None
    return [memoryview(cast(Any, row)) for row in inputs[0]]


def _flat_writer(array: Array) -> WriteRow:
    flat = memoryview(cast(Any, array.reshape(-1)))
    size = array[0].size

    by_numpy = _array_writer(array)

    def write(row: int, count: int, source: Any) -> None:
        try:
            flat[row * size : (row + count) * size] = source.reshape(-1)
        except ValueError:  # unaligned memory, e.g. of a message, has another buffer format
            by_numpy(row, count, source)

    return write


def _array_writer(array: Array) -> WriteRow:
    def write(row: int, count: int, source: Array) -> None:
        target = array[row : row + count]
        target[...] = source.reshape(target.shape)

    return write


def _padding_writer(array: Array, axis: int, value: float) -> WriteRow:
    """A writer that fills rows with `value` after their true length on one axis of a row."""
    before = (slice(None),) * (axis + 1)

    def write(row: int, count: int, source: Array) -> None:
        target = array[row : row + count]
        rows = source if source.ndim == array.ndim else source[np.newaxis]
        length = rows.shape[axis + 1]
        target[(*before, slice(length))] = rows
        target[(*before, slice(length, None))] = value

    return _flat_padding_writer(array, value, write) if _is_small_line(array) else write


def _is_small_line(array: Array) -> bool:
    return array.ndim == 2 and _is_small(array)


def _flat_padding_writer(array: Array, value: float, by_numpy: WriteRow) -> WriteRow:
    """The same for single rows of one axis (token ids): keeps the GIL, in half the time."""
    flat = memoryview(cast(Any, array.reshape(-1)))
    size = array.shape[1]
    fill = memoryview(cast(Any, np.full(size, value, array.dtype)))

    def write(row: int, count: int, source: Array) -> None:
        if count > 1:
            by_numpy(row, count, source)
            return
        begin, end = row * size, (row + 1) * size
        middle = begin + source.size
        try:
            flat[begin:middle] = cast(Any, source.reshape(-1))
            flat[middle:end] = fill[middle - begin :]
        except ValueError:  # unaligned memory
            by_numpy(row, count, source)

    return write
