"""A plan opened on one or more GPUs; see `trtasync.runtimes.Backend`."""

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trtasync.errors import InvalidInput, PlanError
from trtasync.memory.staging import CopyThreads, default_threads
from trtasync.model.arrays import Array, Shape
from trtasync.model.axes import AxisNames
from trtasync.model.profiles import Shapes
from trtasync.model.tensors import ModelSpec, Pad, TensorSpec
from trtasync.requests.signature import Layout
from trtasync.runtimes import OpenLane
from trtasync.runtimes.cuda import (
    ArrayIntake,
    Device,
    DeviceArray,
    OutputPool,
    PinnedPool,
    Registered,
    Stream,
    find_device,
)
from trtasync.runtimes.flavours import Flavour
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt.api import CudaEngine
from trtasync.runtimes.tensorrt.batch_ranges import default_sizes, demand_allowed, written
from trtasync.runtimes.tensorrt.contexts import Context
from trtasync.runtimes.tensorrt.engines import deserialize
from trtasync.runtimes.tensorrt.kernels import KernelStore, kernels_of
from trtasync.runtimes.tensorrt.lane import LaneOptions, TensorRTLane
from trtasync.runtimes.tensorrt.library import Library, flavour_of, library_of, make_runtime
from trtasync.runtimes.tensorrt.plans import PlanSpec, read_plan
from trtasync.runtimes.tensorrt.trial import PlanTrial
from trtasync.runtimes.tensorrt.trtexec import TrtexecStream
from trtasync.runtimes.tensorrt.warm import warm_layouts
from trtasync.system.stopping import go_on

log: logging.Logger = logging.getLogger("trtasync")

DEFAULT_STREAMS = 2
"""Two hide copies and launch gaps; more gain a few per cent and cost memory (h200 measurements)."""

INLINE_BYTES = 64 * 1024
"""Requests up to this size are copied by the event loop itself."""

GRAPH_COPY_BYTES = 32 * 1024
"""Rows (in and out together) up to this size are copied inside the CUDA graph."""

MAX_KNOWN_ROWS = 1024
"""Row shapes whose output shapes are remembered for answers that stay on the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRTOptions:
    """How a plan is run.

    Attributes:
        devices: GPU indices.
        flavour: the only one whose plan is accepted; None for any.
        graphs: capture CUDA graphs at warm-up.
        copy_threads: threads that stage large requests, for all lanes together; None for a default.
        inline_bytes: requests up to this size are staged by the event loop itself; None for a
            default.
        padding: input name -> rule; its sizes are kept warm.
        axes: tensor name -> its axes as the model file names them; a plan has no axis names.
        kernels: keeps what TensorRT for RTX compiles; None for nothing.
        stop: set to end the opening at its next step, with `Stopped` and nothing left behind.
    """

    devices: Sequence[int] = (0,)
    flavour: Flavour | None = None
    graphs: bool = True
    copy_threads: int | None = None
    inline_bytes: int | None = None
    padding: Mapping[str, Pad]
    axes: AxisNames = field(default_factory=dict)
    kernels: KernelStore | None = None
    stop: threading.Event = field(default_factory=threading.Event)


def load(file: PlanFile, options: TensorRTOptions) -> "TensorRTBackend":
    """Open a plan on every requested device. Run it in a thread: it takes seconds.

    Raises:
        BackendUnavailable: no GPU, no driver, no cuda-python, no TensorRT.
        InvalidInput: there is no such device.
        PlanError: the plan cannot be read, run or batched.
        Stopped: it was cancelled.
    """
    if options.flavour is not None:
        flavour_of(file, options.flavour)  # no GPU would help with that
    devices = [find_device(index) for index in options.devices]
    # only now: without a GPU, creating TensorRT's objects can kill the process
    lib = library_of(file, options.flavour)
    runtime = make_runtime(lib, file.code_allowed)
    engines: list[CudaEngine] = []
    try:
        for device in devices:
            go_on(options.stop)
            engines.append(deserialize(lib, runtime, file, device))
        go_on(options.stop)
        plan = read_plan(lib, engines[0], options.axes)
    except BaseException:
        engines.clear()  # before the runtime they came from
        raise
    log.info("%s: %s on %s", file.path, lib.title, ", ".join(d.name for d in devices))
    return TensorRTBackend(lib, runtime, plan, list(zip(devices, engines, strict=True)), options)


class TensorRTBackend:
    """One plan, one engine per device, N lanes on each."""

    name = "tensorrt"
    lends_outputs = True
    default_streams = DEFAULT_STREAMS

    def __init__(
        self,
        lib: Library,
        runtime: object,
        plan: PlanSpec,
        engines: list[tuple[Device, CudaEngine]],
        options: TensorRTOptions,
    ):
        """Called by `load`."""
        self._lib = lib
        self._runtime: object | None = runtime  # it must outlive its engines
        self._plan = plan
        self._engines = engines
        self._kernels = [
            kernels_of(lib, engine, device, options.kernels) for device, engine in engines
        ]
        self._options = options
        self._sizes: tuple[int, ...] = ()
        threads = options.copy_threads
        self._threads = CopyThreads(default_threads() if threads is None else threads)
        devices = [device for device, _ in engines]
        self._intake = ArrayIntake(devices)
        self._pool = OutputPool(devices[0], self._threads.put)
        self._pinned = PinnedPool(devices[0])
        self._rows_known: dict[tuple[Shape, ...], list[Shape | None]] = {}
        self._asking: Stream | None = None
        self._read_plan()

    def _read_plan(self) -> None:
        self.spec: ModelSpec = self._plan.spec
        self.largest_batch_size: int | None = self._plan.largest_batch
        self.default_batch_size: int = self._plan.largest_batch or 1

    def trial(self) -> PlanTrial:
        """See `Backend.trial`. On the first device."""
        device, engine = self._engines[0]
        stop, kernels = self._options.stop, self._kernels[0]
        return PlanTrial(self._lib, engine, self._plan, device, stop, kernels)

    @property
    def possible_batch_sizes(self) -> Sequence[int] | None:
        """See `Backend.possible_batch_sizes`: what the profiles allow, whether batched or not."""
        if not self.spec.has_rows:
            return None
        try:
            return self._plan.with_spec(replace(self.spec, batched=True)).sizes_when_tuned()
        except PlanError:  # no size fits all inputs
            return ()

    def use(self, spec: ModelSpec) -> None:
        """See `Backend.use`."""
        self._plan = self._plan.with_spec(spec)
        self._read_plan()

    def default_batch_sizes(self, largest: int) -> tuple[int, ...]:
        """Powers of two that the profiles allow, the ends of their ranges, and `largest`."""
        return default_sizes(self._plan.batches, largest)

    def admit(self, layout: Layout) -> None:
        """Refuse row shapes for which some batch size has no optimization profile.

        Raises:
            InvalidInput: naming the input and what the profiles allow.
        """
        for rows in self._sizes:
            if self._plan.profile_for(self._plan.numbers(layout, rows)) is None:
                raise InvalidInput(self._refusal(layout, rows))

    def adopt(self, spec: TensorSpec, value: Any) -> Any:
        """See `Backend.adopt`: accepts anything with DLPack or the CUDA array interface."""
        return self._intake.adopt(spec, value)

    def empty_input(self, shape: Shape, dtype: np.dtype[Any]) -> Array:
        """See `Backend.empty_input`: in pinned memory."""
        return self._pinned.empty(shape, dtype)

    def register(self, memory: Array) -> Array:
        """See `Backend.register`: the copy engines read it in place."""
        return np.asarray(Registered(self._engines[0][0], memory))

    def device_outputs(self, layout: Layout, rows: int) -> Sequence[DeviceArray]:
        """See `Backend.device_outputs`. On the first device: it is not known yet which lane will
        run.

        Raises:
            InvalidInput: the outputs' size depends on data, or there are several devices.
        """
        if len(self._engines) > 1:
            raise InvalidInput(
                "outputs='device' needs an engine on one GPU; this one runs on "
                f"{[device.index for device, _ in self._engines]}."
            )
        if moved := [spec.name for spec in self.spec.outputs if spec.batch_axis]:
            raise InvalidInput(
                f"outputs='device': the rows of {moved} do not lie along the first axis, so they "
                "have to be transposed on the host; leave it out."
            )
        shapes = self._output_rows(layout)
        arrays = []
        for spec, row in zip(self.spec.outputs, shapes, strict=True):
            if row is None:
                raise InvalidInput(
                    f"outputs='device': the size of output {spec} depends on data; leave it out."
                )
            shape = (rows, *row)
            size = math.prod(shape) * spec.dtype.itemsize
            lease = self._pool.take(size)
            device = self._engines[0][0].index
            arrays.append(DeviceArray(lease.address, shape, spec.dtype, device, lease))
        return arrays

    def _output_rows(self, layout: Layout) -> list[Shape | None]:
        """Per output, the shape of one row of this layout; None if it depends on data.

        Asks contexts that nothing else uses: those of the lanes may be running.
        """
        rows = self._sizes[0]
        numbers = self._plan.numbers(layout, rows)
        known = self._rows_known.get(numbers)
        if known is None:
            profile = self._plan.profile_for(numbers)
            assert profile is not None  # `admit` has checked
            device, engine = self._engines[0]
            device.enter_again()
            if self._asking is None:
                self._asking = Stream(device)
            context = Context(self._lib, engine, self._plan, profile, device, self._asking)
            shapes = zip(self.spec.outputs, context.shape(numbers), strict=True)
            known = [None if s is None else self._plan.row_of(spec, s) for spec, s in shapes]
            if len(self._rows_known) >= MAX_KNOWN_ROWS:
                self._rows_known.clear()
            self._rows_known[numbers] = known
        return known

    def _refusal(self, layout: Layout, rows: int) -> str:
        numbers = self._plan.numbers(layout, rows)
        for index, (spec, number) in enumerate(zip(self.spec.inputs, numbers, strict=True)):
            ranges = [profile.ranges[index] for profile in self._plan.profiles]
            if not any(range_.allows(number) for range_ in ranges):
                kind = "the values" if spec.host else "a batch of shape"
                return (
                    f"input {spec} would need {kind} {number}, which no optimization profile of "
                    f"the plan allows: {_ranges(ranges)}. Pad or crop it, lower max_batch_size, "
                    "or build the plan with a wider profile."
                )
        return (
            f"no single optimization profile of the plan allows the shapes {numbers} together; "
            "build it with one that does."
        )

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int]
    ) -> Sequence[OpenLane]:
        """Open `streams` lanes on every device, warmed up one after another."""
        self._sizes = tuple(batch_sizes) or (max_batch_size,)
        self._demand_possible()
        inline, options = self._options.inline_bytes, self._options
        lane_options = LaneOptions(
            capacity=max_batch_size,
            batch_sizes=self._sizes,
            layouts=tuple(warm_layouts(self._plan, self._sizes, options.padding)),
            graphs=options.graphs,
            graph_copy_bytes=GRAPH_COPY_BYTES,
            inline_bytes=INLINE_BYTES if inline is None else inline,
            stop=options.stop,
        )
        lanes: list[TensorRTLane] = []
        try:
            for (device, engine), kernels in zip(self._engines, self._kernels, strict=True):
                for _ in range(streams):
                    lane = TensorRTLane(
                        len(lanes),
                        self._lib,
                        engine,
                        self._plan,
                        device,
                        lane_options,
                        self._threads,
                        kernels,
                    )
                    lanes.append(lane)
                if kernels is not None:
                    kernels.keep()
        except BaseException:
            with ExitStack() as closing:
                for lane in lanes:
                    closing.callback(lane.close)
            raise
        return [OpenLane(lane, lane.slots) for lane in lanes]

    def trtexec(self, layout: Layout, rows: int, streams: int) -> list[TrtexecStream]:
        """Open this many inference streams per device, as trtexec does, for benchmarks. Run it in a
        thread, with or without the lanes; the caller closes each of them."""
        made: list[TrtexecStream] = []
        try:
            for device, engine in self._engines:
                for _ in range(streams):
                    graphs = self._options.graphs
                    made.append(
                        TrtexecStream(self._lib, engine, self._plan, device, layout, rows, graphs)
                    )
        except BaseException:
            for each in made:
                each.close()
            raise
        return made

    @property
    def gpus(self) -> list[str]:
        """The devices' names."""
        return [device.name for device, _ in self._engines]

    @property
    def tensorrt(self) -> str:
        """The library's version."""
        return self._lib.version

    def _demand_possible(self) -> None:
        """Refuse batch sizes with which no request could ever be admitted."""
        demand_allowed(self._plan.batches, self._sizes)
        if not self._plan.has_rows_for(self._sizes):
            known = [
                f"batches of {written([profile.batches])} as {[str(r) for r in profile.ranges]}"
                for profile in self._plan.profiles
                if profile.batches is not None
            ]
            raise InvalidInput(
                f"no row shape runs in batches of all of {list(self._sizes)} rows; the plan's "
                f"profiles take {'; '.join(known)}. Give batch_sizes that one of them allows."
            )

    def close(self) -> None:
        """End the copy threads and free the engines, then the runtime they came from."""
        with ExitStack() as closing:  # unwinds in reverse order
            closing.callback(self._free_engines)
            closing.callback(self._intake.close)
            closing.callback(self._pool.close)
            closing.callback(self._pinned.close)
            closing.callback(self._engines[0][0].enter_to_free)
            if self._asking is not None:
                closing.callback(self._asking.close)
            closing.callback(self._threads.close)

    def _free_engines(self) -> None:
        self._kernels.clear()
        while self._engines:
            device, engine = self._engines.pop()
            device.enter_to_free()
            del engine  # now, while its own device is current, and before the runtime
        self._runtime = None


def _ranges(ranges: Sequence[Shapes]) -> str:
    return "; ".join(f"{r.min} to {r.max}" for r in dict.fromkeys(ranges))
