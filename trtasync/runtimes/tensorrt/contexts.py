"""Execution contexts: created, shaped, bound to memory and enqueued, checking every result."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from trtasync.errors import InferenceError, PlanError
from trtasync.model.arrays import Array, Shape
from trtasync.runtimes.cuda import Device, DeviceBuffer, Stream
from trtasync.runtimes.tensorrt.api import CudaEngine, ExecutionContext
from trtasync.runtimes.tensorrt.kernels import Kernels
from trtasync.runtimes.tensorrt.library import Library
from trtasync.runtimes.tensorrt.outputs import GrowingOutput
from trtasync.runtimes.tensorrt.plans import PlanProfile, PlanSpec, as_tuple

OutputShape = Shape | None
"""None: it depends on data, and is known once the batch is enqueued."""


class Context:
    """One execution context on one lane, for one profile, without other users.

    Attributes:
        numbers: what its inputs are set to (`PlanSpec.numbers`); () while they are not.
        shapes: the shape of each output, for these inputs.
        growing: output index -> its memory, for outputs whose size depends on data.
    """

    def __init__(
        self,
        lib: Library,
        engine: CudaEngine,
        plan: PlanSpec,
        profile: PlanProfile,
        device: Device,
        stream: Stream,
        kernels: Kernels | None = None,
    ):
        """Create the context, and choose its profile.

        Args:
            lib: the library that creates it.
            engine: its engine.
            plan: the plan of the engine.
            profile: the profile that it runs.
            device: where it runs.
            stream: on which the profile is selected.
            kernels: how TensorRT for RTX compiles its kernels; None for TensorRT.

        Raises:
            PlanError: TensorRT refuses.
        """
        self._lib = lib
        self._plan = plan
        self._device = device
        self.numbers: tuple[Shape, ...] = ()
        self.shapes: list[OutputShape] = []
        self.growing: dict[int, GrowingOutput] = {}
        self._room: Mapping[str, int] = {}
        self._values: dict[str, Array] = {}
        mark = lib.journal.mark()
        strategy = lib.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = engine.create_execution_context(kernels.config if kernels else strategy)
        if context is None:
            raise PlanError(f"TensorRT created no execution context: {lib.journal.since(mark)}.")
        self._context: ExecutionContext = context
        self._choose(profile, stream)
        self._bind_shape_tensors(profile)

    def _choose(self, profile: PlanProfile, stream: Stream) -> None:
        """Select the profile, before any shape is set. Waits, once at warm-up, for copies it
        enqueues."""
        mark = self._lib.journal.mark()
        try:
            chosen = self._context.set_optimization_profile_async(profile.index, stream.handle)
        except RuntimeError as error:  # the bindings raise here instead of returning False
            raise self._refused(PlanError, f"profile {profile.index}: {error}", mark) from error
        if not chosen:
            raise self._refused(PlanError, f"profile {profile.index} was refused", mark)
        stream.synchronize()

    def _bind_shape_tensors(self, profile: PlanProfile) -> None:
        """They stay in host memory owned by the context, and are read when it is enqueued."""
        for spec, range_ in zip(self._plan.spec.inputs, profile.ranges, strict=True):
            if spec.host:
                array = np.array(range_.opt, spec.dtype)
                self._values[spec.name] = array
                self._set_address(spec.name, array.ctypes.data)

    def bind(
        self,
        addresses: Mapping[str, int],
        room: Mapping[str, int],
        arena: DeviceBuffer,
        spare: Sequence[GrowingOutput],
    ) -> None:
        """Tell it, once and for all, where its tensors and its activations are.

        Args:
            addresses: tensor name -> device address.
            room: tensor name -> bytes there, which no shape set later may exceed.
            arena: activation memory, shared by a lane's contexts, which never run concurrently.
            spare: memory of the outputs whose size depends on data.
        """
        self._room = room
        self.numbers = ()  # shapes that were set before have not been checked against it
        for name, address in addresses.items():
            self._set_address(name, address)
        for growing in spare:
            self.growing[growing.index] = growing
            name = self._plan.spec.outputs[growing.index].name
            mark = self._lib.journal.mark()
            if not self._context.set_output_allocator(name, growing.allocator):
                raise self._refused(PlanError, f"output '{name}': the allocator was refused", mark)
        self._context.set_device_memory(arena.address, arena.size)

    def unbind(self) -> None:
        """Its memory is about to go: sizes are not checked against it until it is bound again."""
        self._room = {}
        self.numbers = ()

    def _set_address(self, name: str, address: int) -> None:
        mark = self._lib.journal.mark()
        if not self._context.set_tensor_address(name, address):
            raise self._refused(PlanError, f"tensor '{name}': its address was refused", mark)

    def shape(self, numbers: tuple[Shape, ...]) -> list[OutputShape]:
        """Set all input shapes (and the values of shape tensors), if they differ from the last.

        Returns the output shapes.

        Raises:
            InferenceError: TensorRT refused them, or a tensor would be larger than its memory.
        """
        if numbers == self.numbers:
            return self.shapes
        self.numbers = ()  # whatever happens from here on, the old ones are no longer valid
        mark = self._lib.journal.mark()
        for spec, number in zip(self._plan.spec.inputs, numbers, strict=True):
            if spec.host:
                self._values[spec.name][...] = np.reshape(number, self._values[spec.name].shape)
            elif not self._context.set_input_shape(spec.name, number):
                raise self._refused(InferenceError, f"input '{spec.name}' {number}", mark)
        try:
            missing = self._context.infer_shapes()
        except RuntimeError as error:
            raise self._refused(InferenceError, f"shapes {numbers}: {error}", mark) from error
        if missing:
            raise self._refused(InferenceError, f"shapes {numbers}: missing {list(missing)}", mark)
        shapes = [self._output_shape(spec.name) for spec in self._plan.spec.outputs]
        self._demand_room(numbers, shapes)
        self.shapes, self.numbers = shapes, numbers
        return shapes

    def _demand_room(self, numbers: Sequence[Shape], shapes: Sequence[OutputShape]) -> None:
        """Refuse shapes that exceed their memory: a kernel writes as far as its shapes say."""
        spec = self._plan.spec
        pairs = [*zip(spec.inputs, numbers, strict=True), *zip(spec.outputs, shapes, strict=True)]
        for tensor, shape in pairs:
            room = self._room.get(tensor.name)
            if room is None or shape is None:
                continue  # a shape tensor, or an output whose memory grows with it
            size = math.prod(shape) * tensor.dtype.itemsize
            if size > room:
                raise InferenceError(
                    f"'{tensor.name}' has shape {shape} here, {size} bytes, more than at the "
                    f"largest shapes of the profiles ({room} bytes), which is all that was "
                    "allocated; use input values that make it smaller."
                )

    def _output_shape(self, name: str) -> OutputShape:
        shape = as_tuple(self._context.get_tensor_shape(name))
        return None if any(dim < 0 for dim in shape) else shape

    def max_output_bytes(self, name: str) -> int:
        """The bound for the current shapes; 0 if TensorRT knows none."""
        return max(0, int(self._context.get_max_output_size(name)))

    def capturable(self, stream: int) -> bool:
        """Whether a graph captured now would be complete, as far as TensorRT can tell."""
        context = self._context
        if not hasattr(context, "is_stream_capturable"):
            return True  # trying is the only way to know
        return context.is_stream_capturable(stream)

    def enqueue(self, stream: int) -> None:
        """Enqueue the network on a stream.

        Raises:
            InferenceError: TensorRT refused; do not assume that any of it runs.
            DeviceLost: because the device is gone.
        """
        assert self.numbers  # TensorRT's shapes are those that were checked
        mark = self._lib.journal.mark()
        if not self._context.execute_async_v3(stream):
            self._device.raise_if_lost()
            raise self._refused(InferenceError, "TensorRT refused to enqueue the batch", mark)

    def _refused(self, kind: type[Exception], what: str, mark: int) -> Exception:
        return kind(f"{what}: {self._lib.journal.since(mark)}.")
