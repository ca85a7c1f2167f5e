"""trtexec's algorithm (`sampleInference.cpp`, v11.1), for `trtasync bench --compare`.

Each of its inference streams has one context, one set of buffers, and three CUDA streams for the
copy in, the network and the copy out; two iterations are enqueued at once. Its next copy in does
not wait for the network that still reads the buffer, so its answers would be wrong for changing
inputs: a legitimate upper bound for a benchmark, but no pipeline. The rules for `Device` and
    threads apply: all calls come from one thread, which has entered the device.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

from trtasync.errors import PlanError
from trtasync.memory.slots import Views
from trtasync.model.arrays import Array
from trtasync.requests.signature import Layout
from trtasync.runtimes.cuda import (
    CaptureFailed,
    Device,
    Event,
    Graph,
    PinnedBuffer,
    Stream,
    capture,
)
from trtasync.runtimes.tensorrt.api import CudaEngine
from trtasync.runtimes.tensorrt.contexts import Context
from trtasync.runtimes.tensorrt.library import Library
from trtasync.runtimes.tensorrt.memory import LaneMemory
from trtasync.runtimes.tensorrt.plans import PlanSpec
from trtasync.runtimes.tensorrt.sizes import measure

AT_ONCE = 2
"""Iterations enqueued: trtexec's `overlap`."""


class _Marks:
    """The six events of one iteration: begin and end of the copy in, the network, the copy out."""

    def __init__(self, device: Device, closing: ExitStack):
        def event() -> Event:
            made = Event(device, timing=True)  # not blocking: trtexec spins since 11.0
            closing.callback(made.close)
            return made

        self.copy_in, self.compute, self.copy_out = ((event(), event()) for _ in range(3))
        self.active = False


class TrtexecStream:
    """One inference stream.

    Attributes:
        views: the pinned input rows, to be written once.
        rows: the batch size of each iteration.
        times: (copy in, compute, copy out) seconds of every finished iteration.
    """

    def __init__(
        self,
        lib: Library,
        engine: CudaEngine,
        plan: PlanSpec,
        device: Device,
        layout: Layout,
        rows: int,
        graph: bool,
    ):
        """Allocate, warm up and, if requested, capture.

        Args:
            lib: as for a lane.
            engine: as for a lane.
            plan: as for a lane.
            device: as for a lane.
            layout: row shapes.
            rows: the batch size of every iteration.
            graph: replay a CUDA graph of the network, if it can be captured.

        Raises:
            PlanError: no profile allows these shapes.
            CudaError: not enough memory.
        """
        self.rows = rows
        self.times: list[tuple[float, float, float]] = []
        self._device = device
        self._closing = ExitStack()
        self._next = 0
        try:
            self._open(lib, engine, plan, layout, graph)
        except BaseException:
            self.close()
            raise

    def _open(
        self, lib: Library, engine: CudaEngine, plan: PlanSpec, layout: Layout, graph: bool
    ) -> None:
        device, closing = self._device, self._closing
        device.enter()
        self._in, self._compute, self._out = (Stream(device) for _ in range(3))
        for stream in (self._in, self._compute, self._out):
            closing.callback(stream.close)
        numbers = plan.numbers(layout, self.rows)
        profile = plan.profile_for(numbers)
        if profile is None:
            raise PlanError(f"no optimization profile of the plan allows the shapes {numbers}.")
        contexts = {
            each.index: Context(lib, engine, plan, each, device, self._compute)
            for each in plan.reached((self.rows,))
        }
        sizes = measure(lib, plan, engine, contexts, (self.rows,))
        memory = LaneMemory(lib, plan, device, self._compute, sizes)
        closing.callback(memory.close)
        closing.callback(self._forget)
        context = contexts[profile.index]
        context.bind(memory.addresses, memory.room, memory.arena, memory.growing)
        shapes = context.shape(numbers)
        inputs, self._copies_in = self._inputs(plan, layout, memory)
        self._copies_out = self._outputs(plan, shapes, memory)
        self.views: Views = Views(layout, inputs)
        self._marks = [_Marks(device, closing) for _ in range(AT_ONCE)]
        context.enqueue(self._compute.handle)  # the first run allocates
        self._compute.synchronize()
        self._run = self._capture(context) if graph else self._plain(context)

    def _pinned(self, size: int) -> PinnedBuffer:
        buffer = PinnedBuffer(self._device, size)
        self._closing.callback(buffer.close)
        return buffer

    def _inputs(
        self, plan: PlanSpec, layout: Layout, memory: LaneMemory
    ) -> tuple[list[Array], list[tuple[int, int, int]]]:
        arrays, copies = [], []
        for spec, row in zip(plan.spec.row_inputs, layout.shapes, strict=True):
            shape = (self.rows, *row)
            size = math.prod(shape) * spec.dtype.itemsize
            buffer = self._pinned(size)
            arrays.append(buffer.array[:size].view(spec.dtype).reshape(shape))
            copies.append((memory.addresses[spec.name], buffer.address, size))
        shared = (spec for spec in plan.spec.shared_inputs if not spec.host)
        for spec, array in zip(shared, layout.shared, strict=True):
            buffer = self._pinned(array.nbytes)
            buffer.array[: array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
            copies.append((memory.addresses[spec.name], buffer.address, array.nbytes))
        return arrays, copies

    def _outputs(
        self, plan: PlanSpec, shapes: list[tuple[int, ...] | None], memory: LaneMemory
    ) -> list[tuple[int, int, int]]:
        copies = []
        for spec, shape in zip(plan.spec.outputs, shapes, strict=True):
            if shape is not None:  # otherwise its size depends on data: not copied out
                size = math.prod(shape) * spec.dtype.itemsize
                copies.append((self._pinned(size).address, memory.addresses[spec.name], size))
        return copies

    def _plain(self, context: Context) -> Callable[[], None]:
        return lambda: context.enqueue(self._compute.handle)

    def _capture(self, context: Context) -> Callable[[], None]:
        device, stream = self._device, self._compute
        try:
            graph: Graph = capture(device, stream, lambda: context.enqueue(stream.handle))
        except CaptureFailed:
            return self._plain(context)
        self._closing.callback(graph.close)

        def launch() -> None:
            if code := device.fast.graph_launch(graph.handle, stream.handle):
                device.check(code, "cuGraphLaunch")

        return launch

    def query(self) -> None:
        """Enqueue one iteration, unless two are already enqueued."""
        marks = self._marks[self._next]
        if marks.active:
            return
        self._device.enter_again()
        self._copy(self._in, marks.copy_in, self._device.fast.copy_in, self._copies_in)
        self._compute.wait_event(marks.copy_in[1])
        marks.compute[0].record(self._compute.handle)
        self._run()
        marks.compute[1].record(self._compute.handle)
        self._out.wait_event(marks.compute[1])
        self._copy(self._out, marks.copy_out, self._device.fast.copy_out, self._copies_out)
        marks.active = True
        self._next ^= 1

    def _copy(
        self,
        stream: Stream,
        marks: tuple[Event, Event],
        call: Callable[[int, int, int, int], int],
        copies: list[tuple[int, int, int]],
    ) -> None:
        marks[0].record(stream.handle)
        for target, source, size in copies:
            if size and (code := call(target, source, size, stream.handle)):
                self._device.check(code, "copying a batch")
        marks[1].record(stream.handle)

    def sync(self) -> bool:
        """Wait for the older iteration; False if there is none."""
        marks = self._marks[self._next]
        if not marks.active:
            return False
        self._device.enter_again()
        marks.copy_out[1].synchronize()
        stages = (marks.copy_in, marks.compute, marks.copy_out)
        copy_in, compute, copy_out = (end.seconds_since(begin) for begin, end in stages)
        self.times.append((copy_in, compute, copy_out))
        marks.active = False
        return True

    def drain(self) -> None:
        """Wait for everything that is enqueued."""
        for _ in range(AT_ONCE):
            self.sync()
            self._next ^= 1

    def _forget(self) -> None:
        """Drop TensorRT's objects before the memory that they use."""
        self._run = lambda: None

    def close(self) -> None:
        """Free everything in reverse order of creation."""
        self._device.enter_to_free()
        if not self._device.lost:
            for name in ("_in", "_compute", "_out"):
                if (stream := getattr(self, name, None)) is not None and stream.handle:
                    stream.synchronize()
        self._closing.close()
