"""How one batch size of one layout runs in one slot: prepared once, launched per batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trtasync.model.arrays import Array, Shape
from trtasync.runtimes.cuda import Device, Event, Graph, copy_all
from trtasync.runtimes.tensorrt.contexts import Context
from trtasync.runtimes.tensorrt.slots import PinnedSlot

ALWAYS_MEASURED, MEASURED_EVERY = 8, 16
"""The first batches are all measured, so that the engine knows its times; later every 16th: the
two event records and the reading of them cost a tenth of a small batch's launch."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The copy of one tensor between a slot and the device.

    Attributes:
        device: address on the device.
        host: address on the host.
        row_bytes: bytes of one row.
    """

    device: int
    host: int
    row_bytes: int


WholeCopy = tuple[int, int, int]
"""(target, source, bytes) of a tensor whose rows do not lie behind one another."""


class Launch(Protocol):
    """What the lane calls per batch."""

    outputs: list[Array]

    def enqueue(self, slot: PinnedSlot, rows: int) -> None:
        """Put a batch on the lane's stream, all but the event that marks its end.

        Args:
            slot: the slot that holds it; sets its `stages`.
            rows: the number of real rows.
        """


class WholeGraph:
    """Copy in, network and copy out as one graph launch: for small rows.

    The copies have the size of the batch bucket: a few rows of padding cost less than two more
    calls.
    """

    def __init__(
        self, device: Device, stream: int, graph: Graph, context: Context, outputs: list[Array]
    ):
        """context: the one whose work the graph replays; kept alive."""
        self.outputs = outputs
        self._context = context
        self._device = device
        self._launch = device.fast.graph_launch
        self._graph = graph.handle
        self._stream = stream
        self._runs = 0

    def enqueue(self, slot: PinnedSlot, rows: int) -> None:
        self._runs = runs = self._runs + 1
        if runs <= ALWAYS_MEASURED or not runs % MEASURED_EVERY:
            slot.begin.record(self._stream)
            slot.stages = 1
        code = self._launch(self._graph, self._stream)
        if code:
            self._device.check(code, "cuGraphLaunch")


@dataclass(eq=False)
class Staged:
    """Copies at their true size around the network, which is enqueued with or without a graph.

    Attributes:
        outputs: views of the slot, rows first.
    """

    _device: Device
    _stream: int
    _context: Context  # its shapes are set at launch
    _numbers: tuple[Shape, ...]
    _in: Sequence[Copy]
    _out: Sequence[Copy]
    _graph: Graph | None  # of the network alone
    outputs: list[Array]

    def enqueue(self, slot: PinnedSlot, rows: int) -> None:
        stream = self._stream
        slot.begin.record(stream)
        self._copy_in(slot, rows)
        slot.copied.record(stream)
        self._run()
        slot.computed.record(stream)
        slot.stages = 3
        self._copy_out(slot, rows)

    def record(self, slot: PinnedSlot, rows: int) -> None:
        """The same without the events, for a capture."""
        self._copy_in(slot, rows)
        self._run()
        self._copy_out(slot, rows)

    def _copy_in(self, slot: PinnedSlot, rows: int) -> None:
        call, check, stream = self._device.fast.copy_in, self._device.check, self._stream
        for index, copy in enumerate(self._in):
            size = copy.row_bytes * rows
            if slot.lent_rows and slot.lends_all(index, slot.padded_from or rows):
                continue
            if size and (code := call(copy.device, copy.host, size, stream)):
                check(code, "copying a batch in")
        if slot.lent_rows:
            self._take_lent_rows(slot, rows)

    def _take_lent_rows(self, slot: PinnedSlot, rows: int) -> None:
        """Copy rows in device memory or in pinned memory of their own over what came from the slot
        in their place, after the work that produces them."""
        targets, sources, sizes = [], [], []
        real = slot.padded_from or rows
        for index, row, _, array in slot.lent_rows:
            if row >= real or not array.nbytes:
                continue  # its caller left, or it was cut off and moved to another batch
            if array.ready is not None:
                self._wait_for(array.ready)
            target = self._in[index]
            targets.append(target.device + row * target.row_bytes)
            sources.append(array.address)
            sizes.append(array.nbytes)
        copy_all(self._device, targets, sources, sizes, self._stream)
        if slot.padded_from:
            self._repeat_last_row(slot.padded_from, rows)

    def _wait_for(self, ready: Event) -> None:
        device = self._device
        device.call(device.runtime.cudaStreamWaitEvent, self._stream, ready.handle, 0)

    def _repeat_last_row(self, real: int, rows: int) -> None:
        """The host's padding repeats its own last row, which a device array is not part of."""
        copies = [
            (copy.device + row * copy.row_bytes, copy.device + (real - 1) * copy.row_bytes, size)
            for copy in self._in
            if (size := copy.row_bytes)
            for row in range(real, rows)
        ]
        self._copy(copies)

    def _leave_on_device(self, slot: PinnedSlot, rows: int) -> None:
        """Copy answers that stay in device memory, except those of rows that were cut off."""
        real = slot.padded_from or rows
        copies = [
            (array.address, source.device + row * source.row_bytes, count * source.row_bytes)
            for row, count, arrays in slot.device_outputs
            if row < real
            for source, array in zip(self._out, arrays, strict=True)
        ]
        self._copy(copies)

    def _copy(self, copies: Sequence[tuple[int, int, int]]) -> None:
        """(target, source, bytes) of each copy."""
        if wanted := [copy for copy in copies if copy[2]]:
            targets, sources, sizes = (list(column) for column in zip(*wanted, strict=True))
            copy_all(self._device, targets, sources, sizes, self._stream)

    def _run(self) -> None:
        if self._graph is not None:
            code = self._device.fast.graph_launch(self._graph.handle, self._stream)
            if code:
                self._device.check(code, "cuGraphLaunch")
            return
        self._context.shape(self._numbers)
        self._context.enqueue(self._stream)

    def _copy_out(self, slot: PinnedSlot, rows: int) -> None:
        call, check, stream = self._device.fast.copy_out, self._device.check, self._stream
        for copy in self._out:
            size = copy.row_bytes * rows
            if size and (code := call(copy.host, copy.device, size, stream)):
                check(code, "copying a batch out")
        if slot.device_outputs:
            self._leave_on_device(slot, rows)


class Growing(Staged):
    """Like `Staged`, for outputs whose size is known only once the network is enqueued."""

    def _copy_out(self, slot: PinnedSlot, rows: int) -> None:
        super()._copy_out(slot, rows)
        call, check, stream = self._device.fast.copy_out, self._device.check, self._stream
        for index, growing in self._context.growing.items():
            known = self.outputs[index]
            count = 1
            for dim in growing.shape:
                count *= dim
            size = count * known.dtype.itemsize
            host = slot.result(index, size)
            if size and (code := call(host.ctypes.data, growing.address, size, stream)):
                check(code, "copying a batch out")
            view = host.view(known.dtype).reshape(growing.shape)
            self.outputs[index] = view[None]


@dataclass(eq=False)
class Arranged(Staged):
    """Like `Staged`, for models with rows along axes other than the first, or with shared inputs.

    Attributes:
        moves: (an input as the model takes it, the same input with rows first).
        whole_in: the copies of such inputs; `Copy.row_bytes` is 0 for them.
        whole_out: the copies of such outputs.
    """

    moves: list[tuple[Array, Array]] = field(default_factory=list)
    whole_in: list[WholeCopy] = field(default_factory=list)
    whole_out: list[WholeCopy] = field(default_factory=list)

    def _copy_in(self, slot: PinnedSlot, rows: int) -> None:
        for target, source in self.moves:
            target[...] = source
        super()._copy_in(slot, rows)
        self._copy(self.whole_in)

    def _copy_out(self, slot: PinnedSlot, rows: int) -> None:
        super()._copy_out(slot, rows)
        self._copy(self.whole_out)
