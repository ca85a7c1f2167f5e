"""A plan opened on one or several GPUs; see `trtasync.backends.Backend`."""

import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trtasync.backends import OpenLane
from trtasync.backends.tensorrt.api import CudaEngine
from trtasync.backends.tensorrt.contexts import Context
from trtasync.backends.tensorrt.lane import LaneOptions, TensorRTLane
from trtasync.backends.tensorrt.library import Library, library, make_runtime
from trtasync.backends.tensorrt.plans import PlanSpec, deserialize, read_plan
from trtasync.backends.tensorrt.trtexec import TrtexecStream
from trtasync.cuda import Device, DeviceArray, Intake, OutputPool, PinnedPool, Stream, find_device
from trtasync.errors import InvalidInput, PlanError
from trtasync.profiles import Shape, Shapes
from trtasync.requests import Array, Layout
from trtasync.rows import Trial
from trtasync.staging import CopyThreads, default_threads
from trtasync.tensors import ModelSpec, Pad, TensorSpec

log = logging.getLogger("trtasync")

DEFAULT_STREAMS = 2
"""Two hide copies and launch gaps; more gain a few per cent and cost memory (h200 measurements)."""

INLINE_BYTES = 64 * 1024
"""Requests up to this size are copied by the event loop itself."""

GRAPH_COPY_BYTES = 32 * 1024
"""Rows (in and out together) up to this size are copied inside the CUDA graph."""

MAX_KNOWN_ROWS = 1024
"""Row shapes whose output shapes are remembered for answers that stay on the device."""

MAX_WARM_LAYOUTS = 32
"""Row shapes kept warm at most; each has a context per batch size and lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRTOptions:
    """How a plan is run.

    Attributes:
        devices: GPU indices.
        graphs: capture CUDA graphs at warm-up.
        copy_threads: threads that stage large requests, for all lanes together; None for a default.
        inline_bytes: requests up to this size are staged by the event loop itself; None for a
            default.
        padding: input name -> rule; its sizes are kept warm.
        engine_host_code_allowed: run the code that version-compatible plans carry.
    """

    devices: Sequence[int] = (0,)
    graphs: bool = True
    copy_threads: int | None = None
    inline_bytes: int | None = None
    padding: Mapping[str, Pad]
    engine_host_code_allowed: bool = False


def load(path: Path, options: TensorRTOptions) -> "TensorRTBackend":
    """Open a plan on every device it is wanted on. In a thread: it takes seconds.

    Raises:
        BackendUnavailable: no GPU, no driver, no cuda-python, no TensorRT.
        InvalidInput: there is no such device.
        PlanError: the plan cannot be read, run or batched.
    """
    devices = [find_device(index) for index in options.devices]
    if not path.is_file():
        raise PlanError(f"{path} is no file; give the path of a serialized TensorRT plan.")
    lib = library()  # only now: without a GPU, making its objects can kill the process
    runtime = make_runtime(lib, options.engine_host_code_allowed)
    engines = [deserialize(lib, runtime, path, device) for device in devices]
    plan = read_plan(lib, engines[0])
    log.info("%s: TensorRT %s on %s", path, lib.version, ", ".join(d.name for d in devices))
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
        """For `load`."""
        self.spec = plan.spec
        self._lib = lib
        self._runtime: object | None = runtime  # engines live no longer than it
        self._plan = plan
        self._engines = engines
        self._options = options
        self._sizes: tuple[int, ...] = ()
        threads = options.copy_threads
        self._threads = CopyThreads(default_threads() if threads is None else threads)
        devices = [device for device, _ in engines]
        self._intake = Intake(devices)
        self._pool = OutputPool(devices[0], self._threads.put)
        self._pinned = PinnedPool(devices[0])
        self._rows_known: dict[tuple[Shape, ...], list[Shape | None]] = {}
        self._asking: Stream | None = None
        self.largest_batch_size = plan.largest_batch
        self.default_batch_size = plan.largest_batch or 1

    def trial(self) -> Trial | None:
        """Its spec is taken at its word."""
        return None

    def use(self, spec: ModelSpec) -> None:
        """See `Backend.use`."""
        self.spec = spec
        self._plan = replace(self._plan, spec=spec)

    def default_batch_sizes(self, largest: int) -> tuple[int, ...]:
        """Powers of two from the smallest batch of the plan to `largest`, and that."""
        return self._plan.default_batch_sizes(largest)

    def admit(self, layout: Layout) -> None:
        """Refuse row shapes for which some batch size has no optimization profile.

        Raises:
            InvalidInput: naming the input and what the profiles allow.
        """
        for rows in self._sizes:
            if self._plan.profile_for(self._plan.numbers(layout, rows)) is None:
                raise InvalidInput(self._refusal(layout, rows))

    def adopt(self, spec: TensorSpec, value: Any) -> Any:
        """See `Backend.adopt`: anything with DLPack or the CUDA array interface."""
        return self._intake.adopt(spec, value)

    def empty_input(self, shape: Shape, dtype: np.dtype[Any]) -> Array:
        """See `Backend.empty_input`: in pinned memory."""
        return self._pinned.empty(shape, dtype)

    def device_outputs(self, layout: Layout, rows: int) -> Sequence[DeviceArray]:
        """See `Backend.device_outputs`. On the first device: which lane will run is not known yet.

        Raises:
            InvalidInput: the outputs' size depends on data, or there are several devices.
        """
        if len(self._engines) > 1:
            raise InvalidInput(
                "outputs='device' needs an engine on one GPU; this one runs on "
                f"{[device.index for device, _ in self._engines]}."
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
        """Per output the shape of one row of this layout; None where it depends on data.

        Asked of contexts that nothing else uses: those of the lanes may be at work.
        """
        rows = self._sizes[0]
        numbers = self._plan.numbers(layout, rows)
        known = self._rows_known.get(numbers)
        if known is None:
            profile = self._plan.profile_for(numbers)
            assert profile is not None  # `admit` has looked
            device, engine = self._engines[0]
            device.enter_again()
            if self._asking is None:
                self._asking = Stream(device)
            context = Context(self._lib, engine, self._plan, profile, device, self._asking)
            cut = int(self.spec.batched)
            shapes = context.shape(numbers)
            known = [None if shape is None else shape[cut:] for shape in shapes]
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
        """`streams` lanes on every device, warmed up one after another."""
        self._sizes = tuple(batch_sizes) or (max_batch_size,)
        self._check_sizes()
        inline, options = self._options.inline_bytes, self._options
        lane_options = LaneOptions(
            capacity=max_batch_size,
            batch_sizes=self._sizes,
            layouts=tuple(self._warm_layouts()),
            graphs=options.graphs,
            graph_copy_bytes=GRAPH_COPY_BYTES,
            inline_bytes=INLINE_BYTES if inline is None else inline,
        )
        lanes: list[TensorRTLane] = []
        try:
            for device, engine in self._engines:
                for _ in range(streams):
                    lane = TensorRTLane(
                        len(lanes),
                        self._lib,
                        engine,
                        self._plan,
                        device,
                        lane_options,
                        self._threads,
                    )
                    lanes.append(lane)
        except BaseException:
            with ExitStack() as closing:
                for lane in lanes:
                    closing.callback(lane.close)
            raise
        return [OpenLane(lane, lane.slots) for lane in lanes]

    def trtexec(self, layout: Layout, rows: int, streams: int) -> list[TrtexecStream]:
        """So many inference streams per device, as trtexec makes them: for benchmarks. In a thread,
        beside or without the lanes; each is to be closed."""
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

    def _check_sizes(self) -> None:
        least = self._plan.smallest_batch
        if self._plan.spec.batched and self._sizes[0] < least:
            raise InvalidInput(
                f"batch_sizes={list(self._sizes)}, but the plan's profiles begin at batches of "
                f"{least}."
            )

    def _warm_layouts(self) -> list[Layout]:
        """The row shapes whose contexts and graphs are made at once: fixed ones, the sizes that
        `padding` gives, and what each profile was tuned for.

        Inputs that are padded to the same sizes have the same length (tokens and their mask): other
        combinations may be no shapes of the network at all.
        """
        if any(spec.host for spec in self.spec.inputs):
            return []  # the values of shape tensors are not known before a request brings them
        found: dict[tuple[Shape, ...], Layout] = {}
        for profile in self._plan.profiles:
            sizes = [
                self._sizes_within(index, range_) for index, range_ in enumerate(profile.ranges)
            ]
            lists = [each for each in dict.fromkeys(sizes) if each]
            for lengths in itertools.product(*lists):
                chosen = dict(zip(lists, lengths, strict=True))
                shapes = tuple(
                    self._row_shape(index, range_, chosen.get(sizes[index]))
                    for index, range_ in enumerate(profile.ranges)
                )
                found.setdefault(shapes, Layout(shapes, tuple(None for _ in shapes)))
        layouts = list(found.values())
        if len(layouts) > MAX_WARM_LAYOUTS:
            log.warning(
                "%d row shapes would have to be kept warm; %d are", len(layouts), MAX_WARM_LAYOUTS
            )
        return layouts[:MAX_WARM_LAYOUTS]

    def _sizes_within(self, index: int, range_: Shapes) -> tuple[int, ...]:
        """The lengths that `padding` gives an input and a profile allows; () without any."""
        pad = self._options.padding.get(self.spec.inputs[index].name)
        if pad is None or not pad.sizes:
            return ()
        axis = pad.axis % len(range_.opt)
        return tuple(size for size in pad.sizes if range_.min[axis] <= size <= range_.max[axis])

    def _row_shape(self, index: int, range_: Shapes, length: int | None) -> Shape:
        """What a profile was tuned for, with another length on the padded axis."""
        shape = list(range_.opt)
        if length is not None:
            pad = self._options.padding[self.spec.inputs[index].name]
            shape[pad.axis % len(shape)] = length
        return tuple(shape[self.spec.batched :])

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
        while self._engines:
            device, engine = self._engines.pop()
            device.enter_to_free()
            del engine  # now, on its own device and before the runtime
        self._runtime = None


def _ranges(ranges: Sequence[Shapes]) -> str:
    return "; ".join(f"{r.min} to {r.max}" for r in dict.fromkeys(ranges))
