"""One CUDA stream with its execution contexts, its memory, its graphs and its slots."""

import logging
import math
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from trtasync.errors import DeviceLost, InferenceError, PlanError
from trtasync.memory.slots import Views
from trtasync.memory.staging import Copies, CopyThreads
from trtasync.model.arrays import Shape
from trtasync.requests.signature import Layout
from trtasync.runtimes import Times
from trtasync.runtimes.cuda import NOT_READY, CaptureFailed, Device, Graph, Stream, capture
from trtasync.runtimes.tensorrt.api import CudaEngine
from trtasync.runtimes.tensorrt.contexts import Context
from trtasync.runtimes.tensorrt.kernels import Kernels
from trtasync.runtimes.tensorrt.launches import Launch, WholeGraph
from trtasync.runtimes.tensorrt.library import Library
from trtasync.runtimes.tensorrt.memory import LaneMemory
from trtasync.runtimes.tensorrt.plans import PlanSpec
from trtasync.runtimes.tensorrt.preparing import Preparation
from trtasync.runtimes.tensorrt.sizes import measure
from trtasync.runtimes.tensorrt.slots import PinnedSlot
from trtasync.system.stopping import go_on

log: logging.Logger = logging.getLogger("trtasync")

DEPTH = 2
"""Batches enqueued on one stream: the second closes the gap behind the first (6 to 10 %)."""

SLOTS = 4
"""Two in flight, two forming: with three, 256 callers of a small model on one stream had to stage a
quarter of their rows late (160 000 requests/s instead of 188 000 on an H200)."""

MAX_PREPARED = 256
"""Launches outside the warm shapes that a slot remembers per layout."""

Key = tuple[tuple[Shape, ...], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneOptions:
    """Options shared by the lanes of a backend.

    Attributes:
        capacity: rows of a slot.
        batch_sizes: the sizes that are run, ascending.
        layouts: those kept warm, for every batch size.
        graphs: capture CUDA graphs.
        graph_copy_bytes: rows (in and out together) up to this size are copied inside the graph.
        inline_bytes: requests up to this size are staged by the caller itself.
        stop: set to cancel the opening.
    """

    capacity: int
    batch_sizes: tuple[int, ...]
    layouts: tuple[Layout, ...]
    graphs: bool
    graph_copy_bytes: int
    inline_bytes: int
    stop: threading.Event


@dataclass(frozen=True, slots=True)
class _Warm:
    """A context that is permanently set to one shape, and the graph of its network, if any."""

    context: Context
    graph: Graph | None


class TensorRTLane:
    """See `trtasync.runtimes.Lane`. Everything on it happens in stream order."""

    depth = DEPTH
    asynchronous = True

    def __init__(
        self,
        index: int,
        lib: Library,
        engine: CudaEngine,
        plan: PlanSpec,
        device: Device,
        options: LaneOptions,
        threads: CopyThreads,
        kernels: Kernels | None = None,
    ):
        """Create everything; run and capture every warm shape once. In a thread: it takes seconds.

        With kernels compiled here every context costs a gigabyte of host memory and more (seen by
        users of TensorRT for RTX 1.4), so there is one per profile and none per shape.

        Raises:
            PlanError: the plan does not run.
            CudaError: not enough memory.
            Stopped: it was cancelled.
        """
        self.device: int = device.index
        self._index = index
        self._lib = lib
        self._engine: CudaEngine | None = engine
        self._plan = plan
        self._gpu = device
        self._options = options
        self._threads = threads
        self._kernels = kernels
        self._stream: Stream | None = None
        self._contexts: dict[int, Context] = {}
        self._memory: LaneMemory | None = None
        self.slots: list[PinnedSlot] = []
        self._warm: dict[Key, _Warm] = {}
        self._graphs: list[Graph] = []
        self._prepared: dict[tuple[int, Key], Launch] = {}
        self._foreign: dict[tuple[Views, int], Launch] = {}
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    # -- opening ---------------------------------------------------------------------------------

    def _open(self) -> None:
        self._gpu.enter()
        self.stream: Stream = Stream(self._gpu)
        self._record, self._query = self._gpu.fast.event_record, self._gpu.fast.event_query
        self._stream = self.stream
        batch_sizes = self._options.batch_sizes
        for profile in self._plan.reached(batch_sizes):
            self._contexts[profile.index] = self._context(profile.index)
        assert self._engine is not None
        sizes = measure(self._lib, self._plan, self._engine, self._contexts, batch_sizes)
        self._sizes = sizes
        self._memory = LaneMemory(self._lib, self._plan, self._gpu, self.stream, sizes)
        self._preparation = Preparation(self._gpu, self.stream.handle, self._plan, self._memory)
        for context in self._contexts.values():
            self._bind(context)
        for _ in range(SLOTS):
            go_on(self._options.stop)
            copies = Copies(self._threads, self._options.inline_bytes)
            slot = PinnedSlot(
                self._plan.spec,
                self._options.capacity,
                self._index,
                self._gpu,
                sizes,
                copies,
                self._options.inline_bytes,
            )
            self.slots.append(slot)
        self.stream.synchronize()
        for layout in self._options.layouts:
            for rows in self._options.batch_sizes:
                self._warm_up(layout, rows)

    def _context(self, profile: int) -> Context:
        go_on(self._options.stop)
        assert self._engine is not None
        return Context(
            self._lib,
            self._engine,
            self._plan,
            self._plan.profiles[profile],
            self._gpu,
            self.stream,
            self._kernels,
        )

    def _bind(self, context: Context) -> None:
        memory = self._memory
        assert memory is not None
        context.bind(memory.addresses, memory.room, memory.arena, memory.growing)

    def _warm_up(self, layout: Layout, rows: int) -> None:
        """Give a shape its own context, run it once (the first run allocates), capture it.

        A context that also serves other shapes is only run: a graph holds the context as it was
        when it was captured.
        """
        numbers = self._plan.numbers(layout, rows)
        profile = self._plan.profile_for(numbers)
        if profile is None:
            return  # `admit` refuses such requests
        context = self._contexts[profile.index]
        if self._kernels is None:
            context = self._context(profile.index)
            self._bind(context)
        go_on(self._options.stop)
        try:
            self._preparation.demand_rows(rows, context.shape(numbers))
            context.enqueue(self.stream.handle)
            self.stream.synchronize()
        except InferenceError as error:
            raise PlanError(f"the plan does not run a batch of {rows} rows: {error}") from error
        key = (numbers, rows)
        copies_inside = self._copies_inside(layout, context)
        self._warm[key] = _Warm(context, None)
        if not self._options.graphs or self._sizes.dynamic or layout.values:
            return
        if self._kernels is not None and not self._plan.is_fixed:
            return
        if not context.capturable(self.stream.handle):
            log.info(
                "stream %d: TensorRT cannot capture a batch of %d rows as a graph",
                self._index,
                rows,
            )
            return
        try:
            # of the network alone: also serves slots of other lanes, and rows that are elsewhere
            graph = self._capture(lambda: context.enqueue(self.stream.handle))
            self._warm[key] = _Warm(context, graph)
            if copies_inside:
                self._capture_slots(layout, rows, key, context)
        except CaptureFailed as error:
            log.warning(
                "stream %d: no CUDA graph for a batch of %d rows, which is enqueued without "
                "one; %s",
                self._index,
                rows,
                error,
            )

    def _capture(self, work: Callable[[], None]) -> Graph:
        go_on(self._options.stop)
        with self._lib.journal.quietly():  # a refusal is no error: it is enqueued without
            graph = capture(self._gpu, self.stream, work)
        self._graphs.append(graph)
        return graph

    def _copies_inside(self, layout: Layout, context: Context) -> bool:
        """Whether rows are small, and arranged on the device as in the slot."""
        plan = self._plan
        row_bytes = sum(
            math.prod(shape) * spec.dtype.itemsize
            for spec, shape in zip(plan.spec.row_inputs, layout.shapes, strict=True)
        )
        for spec, shape in zip(plan.spec.outputs, context.shapes, strict=True):
            if shape is not None:
                row_bytes += math.prod(plan.row_of(spec, shape)) * spec.dtype.itemsize
        return plan.is_plain and row_bytes <= self._options.graph_copy_bytes

    def _capture_slots(self, layout: Layout, rows: int, key: Key, context: Context) -> None:
        for slot in self.slots:
            slot.bind(layout)
            launch = self._preparation.staged(slot, rows, context, key[0], None)
            graph = self._capture(lambda at=slot, run=launch: run.record(at, rows))  # type: ignore[misc]  # early binding
            self._prepared[id(slot), key] = WholeGraph(
                self._gpu, self.stream.handle, graph, context, launch.outputs
            )

    # -- launching -------------------------------------------------------------------------------

    def launch(self, slot: Any, rows: int) -> None:
        """Enqueue copy in, run, copy out and the event, without waiting."""
        filled, slot.filled, slot.stages, slot.ended = slot.filled or rows, 0, 0, False
        self._threads.in_flight.add(slot)
        try:
            self._gpu.enter_again()
            if slot.lane != self._index:
                launch = self._foreign.get((slot.views, rows)) or self._find_foreign(slot, rows)
            else:
                launch = slot.views.cache.get(rows) or self._find(slot, rows)
                if slot.lent_rows or slot.device_outputs:
                    launch = self._with_copies_apart(slot, rows, launch)
            launch.enqueue(slot, filled)
            slot.padded_from = 0
            code = self._record(slot.done.handle, self.stream.handle)
            if code:
                self._gpu.check(code, "cuEventRecord")
        except DeviceLost:
            self._threads.in_flight.discard(slot)
            raise
        except Exception:
            slot.padded_from = 0
            # Part of it may be on the stream and read the slot, which must not be reused meanwhile.
            self.stream.synchronize()
            self._threads.in_flight.discard(slot)
            raise
        slot.outputs = launch.outputs

    def _find(self, slot: PinnedSlot, rows: int) -> Launch:
        """The launch of this shape: captured at warm-up, or made now and cached."""
        views = slot.bound
        numbers = self._plan.numbers(views.layout, rows)
        key = (numbers, rows)
        launch = self._prepared.get((id(slot), key)) or self._apart(slot, rows, key)
        if len(views.cache) >= MAX_PREPARED:
            views.cache.clear()
        views.cache[rows] = launch
        return launch

    def _find_foreign(self, slot: PinnedSlot, rows: int) -> Launch:
        """The same for a slot of another lane of this device.

        Copies are separate from the network: whole graphs know only the slots of this lane. It is
        cached here and not in the slot, which must not keep contexts of this lane alive.
        """
        views = slot.bound
        launch = self._apart(slot, rows, (self._plan.numbers(views.layout, rows), rows))
        if len(self._foreign) >= MAX_PREPARED:
            self._foreign.clear()
        self._foreign[views, rows] = launch
        return launch

    def _apart(self, slot: PinnedSlot, rows: int, key: Key) -> Launch:
        """A launch whose copies are separate from the network."""
        warm = self._warm.get(key)
        if warm is None:
            return self._cold(slot, rows, key)
        return self._preparation.staged(slot, rows, warm.context, key[0], warm.graph)

    def _with_copies_apart(self, slot: PinnedSlot, rows: int, launch: Launch) -> Launch:
        """For a batch with rows from or for device memory, which no captured copy covers."""
        if not isinstance(launch, WholeGraph):
            return launch
        views = slot.bound
        apart: Launch | None = views.cache.get(("apart", rows))
        if apart is None:
            apart = self._apart(slot, rows, (self._plan.numbers(views.layout, rows), rows))
            views.cache["apart", rows] = apart
        return apart

    def _cold(self, slot: PinnedSlot, rows: int, key: Key) -> Launch:
        profile = self._plan.profile_for(key[0])
        if profile is None:
            raise InferenceError(f"no optimization profile of the plan allows the shapes {key[0]}.")
        context = self._contexts[profile.index]
        return self._preparation.staged(slot, rows, context, key[0], None)

    # -- finishing -------------------------------------------------------------------------------

    def ready(self, slot: Any) -> bool:
        """Query the event; keeps the GIL."""
        code = self._query(slot.done.handle)
        if code == NOT_READY:
            return False
        slot.ended = not code  # otherwise `wait` raises it
        return True

    def wait(self, slot: Any) -> Times | None:
        """Sleep in `cudaEventSynchronize`, unless the event has already fired."""
        try:
            if slot.ended and not slot.stages:
                return None
            self._gpu.enter_again()
            if not slot.ended and not slot.done.fired():
                slot.done.synchronize()
            times: Times | None = slot.times()
        finally:
            self._threads.in_flight.discard(slot)
        return times

    def close(self) -> None:
        """Wait for the stream and free everything in reverse order of creation.

        What cannot be freed does not keep the rest from being freed; the first failure is raised at
        the end.
        """
        self._gpu.enter_to_free()
        with ExitStack() as closing:  # unwinds in reverse order
            if self._stream is not None:
                closing.callback(self._stream.close)
            if self._memory is not None:
                closing.callback(self._memory.close)
            closing.callback(self._forget)  # contexts are freed before the memory that they use
            for slot in self.slots:
                closing.callback(slot.close)
            for graph in self._graphs:
                closing.callback(graph.close)
            if self._stream is not None and not self._gpu.lost:
                closing.callback(self._stream.synchronize)

    def _forget(self) -> None:
        """Drop the references to TensorRT's objects, which thereby free their device memory."""
        made = (self._graphs, self.slots, self._prepared, self._foreign, self._warm, self._contexts)
        for each in made:
            each.clear()
        self._engine = None
        self._threads.in_flight.clear()
