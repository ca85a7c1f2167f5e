"""A plan run on whole arrays, before any lane of it is open; see `trtasync.rows.Trial`."""

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

import numpy as np

from trtasync.errors import InferenceError, InvalidInput
from trtasync.model.arrays import Array, Shape
from trtasync.model.tensors import TensorSpec
from trtasync.runtimes.cuda import Device, PinnedBuffer, Stream
from trtasync.runtimes.tensorrt.api import CudaEngine
from trtasync.runtimes.tensorrt.contexts import Context, OutputShape
from trtasync.runtimes.tensorrt.kernels import Kernels
from trtasync.runtimes.tensorrt.library import Library
from trtasync.runtimes.tensorrt.memory import LaneMemory
from trtasync.runtimes.tensorrt.plans import PlanProfile, PlanSpec
from trtasync.runtimes.tensorrt.sizes import Sizes
from trtasync.system.stopping import go_on

Copying = Callable[[int, int, int, int], int]
"""(target, source, bytes, stream) -> CUDA's code."""

FEW = 3
"""Rows of most runs of the check."""


class PlanTrial:
    """Runs a plan on a stream of its own, with the same kernels as requests.

    It has a context for each profile, and memory for one set of shapes at a time. All calls but
    `stop` come from one thread.

    Attributes:
        inputs: all but shape tensors, which have the values that the plan was tuned for. Where it
            is known which axes are batches, the others have the lengths that it was tuned for:
            other lengths may be in no profile.
        outputs: in the plan's order.
    """

    def __init__(
        self,
        lib: Library,
        engine: CudaEngine,
        plan: PlanSpec,
        device: Device,
        off: threading.Event,
        kernels: Kernels | None = None,
    ):
        """Create a stream and warm the kernels up.

        Args:
            lib: as for a lane.
            engine: as for a lane.
            plan: as for a lane.
            device: as for a lane.
            off: set when the opening that this belongs to is cancelled.
            kernels: as for a lane.

        Raises:
            CudaError: not enough memory.
        """
        self._lib = lib
        self._engine: CudaEngine | None = engine
        self._plan = plan
        self._device = device
        self._off = off
        self._kernels = kernels
        self._stopped = threading.Event()
        self._contexts: dict[int, Context] = {}
        self._numbers: tuple[Shape, ...] = ()
        self._memory: LaneMemory | None = None
        self._pinned: PinnedBuffer | None = None
        self._tuned = plan.tuned
        self.inputs: tuple[TensorSpec, ...] = tuple(
            self._at_its_best(spec, range_.opt)
            for spec, range_ in zip(plan.spec.inputs, self._tuned.ranges, strict=True)
            if not spec.host
        )
        self.outputs: tuple[TensorSpec, ...] = plan.spec.outputs
        device.enter()
        self._stream = Stream(device)
        try:
            self._warm_up()
        except BaseException:
            self.close()
            raise

    def _warm_up(self) -> None:
        """Run once on zeros, without waiting: the first run loads the kernels, and may take as long
        as all others together."""
        rows = min(self._plan.sizes_when_tuned(), key=lambda size: abs(size - FEW), default=1)
        best = [range_.opt for range_ in self._tuned.ranges]
        numbers = zip(self._plan.spec.inputs, self._plan.resized(best, rows), strict=True)
        with suppress(InferenceError, InvalidInput):  # the caller of a run will get it
            self.run([np.zeros(shape, spec.dtype) for spec, shape in numbers if not spec.host])

    def _at_its_best(self, spec: TensorSpec, best: Shape) -> TensorSpec:
        return replace(spec, shape=best) if self._plan.spec.has_rows else spec

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """One run.

        Raises:
            InvalidInput: an array is not of its input's type, or no profile allows the shapes.
            InferenceError: TensorRT refused them, or the trial was stopped.
            Stopped: the opening was cancelled.
        """
        go_on(self._off)
        if self._stopped.is_set():
            raise InferenceError("the trial was stopped; it accepts no further runs.")
        for spec, array in zip(self.inputs, arrays, strict=True):
            if array.dtype != spec.dtype:
                raise InvalidInput(f"input {spec} got dtype {array.dtype}.")
        self._device.enter_again()
        with self._lib.journal.quietly():  # a refusal is an answer here
            context, shapes = self._prepare(self._numbers_of(arrays))
            return self._run(context, shapes, arrays)

    def _numbers_of(self, arrays: Sequence[Array]) -> tuple[Shape, ...]:
        given = iter(arrays)
        return tuple(
            range_.opt if spec.host else next(given).shape
            for spec, range_ in zip(self._plan.spec.inputs, self._tuned.ranges, strict=True)
        )

    def _prepare(self, numbers: tuple[Shape, ...]) -> tuple[Context, list[OutputShape]]:
        """The context for these shapes, bound to memory for them."""
        profile = self._plan.profile_for(numbers)
        assert self._engine is not None
        if profile is None:
            raise InvalidInput(f"no optimization profile of the plan allows the shapes {numbers}.")
        context = self._contexts.get(profile.index)
        if context is None:
            context = self._contexts[profile.index] = Context(
                self._lib,
                self._engine,
                self._plan,
                profile,
                self._device,
                self._stream,
                self._kernels,
            )
        if numbers != self._numbers:
            self._numbers = ()
            self._allocate(context, profile, numbers)
            self._numbers = numbers
        return context, context.shape(numbers)

    def _allocate(self, context: Context, profile: PlanProfile, numbers: tuple[Shape, ...]) -> None:
        assert self._engine is not None
        context.unbind()
        shapes = context.shape(numbers)
        specs = self._plan.spec
        inputs = {
            spec.name: _bytes(spec, shape)
            for spec, shape in zip(specs.inputs, numbers, strict=True)
            if not spec.host
        }
        outputs = [
            context.max_output_bytes(spec.name) if shape is None else _bytes(spec, shape)
            for spec, shape in zip(specs.outputs, shapes, strict=True)
        ]
        dynamic = frozenset(index for index, shape in enumerate(shapes) if shape is None)
        activation = self._engine.get_device_memory_size_for_profile_v2(profile.index)
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        memory = self._memory = LaneMemory(
            self._lib,
            self._plan,
            self._device,
            self._stream,
            Sizes(inputs, tuple(outputs), dynamic, activation),
        )
        context.bind(memory.addresses, memory.room, memory.arena, memory.growing)

    def _run(
        self, context: Context, shapes: Sequence[OutputShape], arrays: Sequence[Array]
    ) -> list[Array]:
        assert self._memory is not None
        addresses = self._memory.addresses
        for spec, array in zip(self.inputs, arrays, strict=True):
            host = self._host(array.nbytes)
            host.array[: array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
            self._copy(self._device.fast.copy_in, addresses[spec.name], host.address, array.nbytes)
        context.enqueue(self._stream.handle)
        self._stream.synchronize()
        found = []
        for index, (spec, shape) in enumerate(zip(self.outputs, shapes, strict=True)):
            if shape is None:
                growing = context.growing[index]
                found.append(self._fetch(spec, growing.address, growing.shape))
            else:
                found.append(self._fetch(spec, addresses[spec.name], shape))
        return found

    def _fetch(self, spec: TensorSpec, address: int, shape: Shape) -> Array:
        size = _bytes(spec, shape)
        host = self._host(size)
        self._copy(self._device.fast.copy_out, host.address, address, size)
        return host.array[:size].view(spec.dtype).reshape(shape).copy()

    def _copy(self, call: Copying, target: int, source: int, size: int) -> None:
        if size and (code := call(target, source, size, self._stream.handle)):
            self._device.check(code, "copying an array of a trial")
        self._stream.synchronize()

    def _host(self, size: int) -> PinnedBuffer:
        """Pinned memory of at least this many bytes; nothing is in flight on it."""
        if self._pinned is None or self._pinned.size < size:
            if self._pinned is not None:
                self._pinned.close()
            self._pinned = None
            self._pinned = PinnedBuffer(self._device, size)
        return self._pinned

    def stop(self) -> None:
        """Refuse further runs; one on the GPU cannot be ended. Thread-safe."""
        self._stopped.set()

    def close(self) -> None:
        """Free everything but the plan itself, in reverse order of creation."""
        self._device.enter_to_free()
        with ExitStack() as closing:  # unwinds in reverse order
            closing.callback(self._stream.close)
            if self._pinned is not None:
                closing.callback(self._pinned.close)
            if self._memory is not None:
                closing.callback(self._memory.close)
            closing.callback(self._contexts.clear)  # before the memory that they use
        self._engine = None


def _bytes(spec: TensorSpec, shape: Shape) -> int:
    return math.prod(shape) * spec.dtype.itemsize
