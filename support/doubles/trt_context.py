"""The execution context of the double of `tensorrt`."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from support.doubles import models
from support.doubles.trt_names import IOutputAllocator, Logging, demand

ALIGNMENT = 256

Shape = tuple[int, ...]

calls: Counter[str] = Counter()
"""How often each method of a context was called."""
violations: list[str] = []


class Hooks:
    """What the double needs to know about CUDA, on which it does not depend.

    Attributes:
        capturing: is this stream being captured?
        answered: has CUDA answered a call, so that there is a driver?
        gpu: name and compute capability of the current device.
        room: its free bytes; -1 when it is lost.
    """

    capturing: Callable[[int], bool] = staticmethod(lambda stream: False)
    answered: Callable[[], bool] = staticmethod(lambda: True)
    gpu: Callable[[], tuple[str, str]] = staticmethod(lambda: ("Double GPU", "9.0"))
    room: Callable[[], int] = staticmethod(lambda: 1 << 40)


class IExecutionContext(Logging):
    """The state of one inference at a time."""

    _engine: Any
    _model: models.Model
    _addresses: dict[str, int]
    _shapes: dict[str, Shape]
    _allocators: dict[str, list[Any]]
    _device_memory: tuple[int, int]
    _profile: int
    _inferred: bool
    _values: Any
    _warm: Any
    _user: Any
    _leaving: Any
    _settled: bool
    _own: bool

    @classmethod
    def _make(cls, engine: Any, own: bool) -> "IExecutionContext":
        """`own`: it has activation memory of its own."""
        context = cls()
        context._own = own
        context._engine = engine
        context._model = engine._model
        context._logger = engine._logger
        context._addresses = {}
        context._allocators = {}
        context._device_memory = (0, 0)
        context._user = threading.RLock()
        context._leaving = _Leaving(context._user)
        context._choose(0)
        return context

    def _choose(self, profile: int) -> None:
        self._profile = profile
        self._shapes = {
            tensor.name: tensor.shape
            for tensor in self._model.inputs
            if tensor.host or min(tensor.shape, default=0) >= 0
        }
        self._changed()

    def _changed(self) -> None:
        """Of the inputs' shapes: what followed from them is not known any more."""
        for tensor in self._model.outputs:
            self._shapes.pop(tensor.name, None)
        self._inferred = self._settled = False
        self._warm = self._values = None

    def _enter(self, method: str) -> Any:
        """Count a call; no other thread may be in here meanwhile."""
        calls[method] += 1
        if not self._user.acquire(blocking=False):
            violations.append(f"two threads at once in one context ({method})")
            self._user.acquire()
        return self._leaving

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        """Raises RuntimeError where TensorRT's does."""
        with self._enter("set_optimization_profile_async"):
            if not 0 <= profile_index < self._model.profile_count:
                self._refuse(f"setOptimizationProfileAsync: no profile {profile_index}")
                raise RuntimeError("Error in set optimization profile.")
            self._choose(profile_index)
            return True

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        """False outside the profile."""
        with self._enter("set_input_shape"):
            tensor = self._model.tensor(name)
            if tensor is None or tensor not in self._model.inputs:
                return self._refuse(f"setInputShape: '{name}' is no input")
            low, _, high = self._engine.get_tensor_profile_shape(name, self._profile)
            if not _within(low, shape, high):
                return self._refuse(
                    f"IExecutionContext::setInputShape: Error Code 3: API Usage Error (for tensor "
                    f"'{name}': {shape} is outside of {low} to {high} of profile {self._profile})"
                )
            if self._shapes.get(name) != tuple(shape):
                self._shapes[name] = tuple(shape)
                self._changed()
            return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Not null, and aligned."""
        with self._enter("set_tensor_address"):
            tensor = self._model.tensor(name)
            if tensor is None:
                return self._refuse(f"setTensorAddress: unknown tensor '{name}'")
            if not memory or (not tensor.host and memory % ALIGNMENT):
                return self._refuse(
                    f"setTensorAddress: '{name}': {memory:#x} is null or misaligned"
                )
            self._addresses[name] = int(memory)
            self._settled = False
            return True

    def infer_shapes(self) -> list[str]:
        """Sets the outputs' shapes; names what is missing."""
        with self._enter("infer_shapes"):
            missing = self._missing()
            if not missing:
                self._infer()
            return missing

    def _missing(self) -> list[str]:
        return [
            tensor.name
            for tensor in self._model.inputs
            if tensor.name not in (self._addresses if tensor.host else self._shapes)
        ]

    def _infer(self) -> None:
        """Set what follows from the inputs.

        Raises:
            RuntimeError: values of a shape tensor are outside the profile, or shapes do not fit.
        """
        values = self._read_values()
        if self._inferred and values == self._values:
            return
        self._changed()
        known = self._shapes | values
        first = next(tensor for tensor in self._model.inputs if not tensor.host)
        for tensor in self._model.outputs:
            if tensor.infer is not None:
                shape = self._computed(tensor.infer, known)
            else:
                pairs = enumerate(tensor.shape)
                shape = tuple(self._shapes[first.name][i] if n < 0 else n for i, n in pairs)
            self._shapes[tensor.name] = tensor.shape if tensor.data_dependent else shape
        self._inferred, self._values = True, values

    def _computed(self, infer: Callable[..., Shape], known: dict[str, Shape]) -> Shape:
        try:
            return infer(known)
        except RuntimeError as error:
            self._refuse(f"IExecutionContext::inferShapes: Error Code 7: Internal Error ({error})")
            raise

    def _read_values(self) -> dict[str, Shape]:
        from support.doubles.kernels import view  # not needed with kernels on a real GPU

        found: dict[str, Shape] = {}
        for tensor in self._model.inputs:
            if tensor.host:
                array = view(self._addresses[tensor.name], tensor.shape, tensor.dtype)
                found[tensor.name] = tuple(int(value) for value in array.ravel())
                low, _, high = tensor.profiles[self._profile]
                if not _within(low, found[tensor.name], high):
                    self._refuse(f"inferShapes: values of '{tensor.name}' are outside the profile")
                    raise RuntimeError("Error in infer shapes.")
        return found

    def get_tensor_shape(self, name: str) -> Shape:
        """-1 where it depends on data, or on what is not set."""
        with self._enter("get_tensor_shape"):
            self._try_to_infer()
            tensor = self._engine._tensor(name)
            return self._shapes.get(name, tuple(tensor.shape))

    def _try_to_infer(self) -> bool:
        try:
            if not self._missing():
                self._infer()
        except RuntimeError:
            self._changed()
        return self._inferred

    def get_max_output_size(self, name: str) -> int:
        """Bytes; -1 when unknown."""
        with self._enter("get_max_output_size"):
            tensor = self._engine._tensor(name)
            if not self._try_to_infer() or tensor in self._model.inputs:
                return -1
            if tensor.data_dependent:
                return self._model.largest.get(name, -1)
            return int(math.prod(self._shapes[name]) * np.dtype(tensor.dtype).itemsize)

    def set_device_memory(self, memory: int, size: int) -> None:
        """Activation memory."""
        with self._enter("set_device_memory"):
            if memory % ALIGNMENT:
                self._refuse(f"setDeviceMemoryV2: {memory:#x} is misaligned")
                return
            self._device_memory = (int(memory), int(size))
            self._settled = False

    def set_output_allocator(self, name: str, output_allocator: Any) -> bool:
        """Keeps one more reference with every call; None unsets."""
        with self._enter("set_output_allocator"):
            if output_allocator is not None:
                demand(output_allocator, IOutputAllocator)
            if name not in [tensor.name for tensor in self._model.outputs]:
                return self._refuse(f"setOutputAllocator: '{name}' is no output")
            self._allocators.setdefault(name, []).append(output_allocator)
            self._settled = False
            return True

    def _ask_allocator(self, name: str, size: int, stream: int) -> int:
        allocator, before = self._allocators[name][-1], self._addresses.get(name, 0)
        try:
            asked = allocator.reallocate_output_async(name, before, size, ALIGNMENT, stream)
        except Exception:  # the bindings print and swallow it
            asked = None
        if not asked or asked % ALIGNMENT:
            self._refuse(f"IExecutionContext::enqueueV3: no {size} bytes for output '{name}'")
            return 0
        return int(asked)

    def _tell_shape(self, name: str, shape: Sequence[int]) -> None:
        try:
            self._allocators[name][-1].notify_shape(name, tuple(shape))
        except Exception:  # the bindings print and swallow it
            self._refuse(f"notify_shape of '{name}' raised")

    def execute_async_v3(self, stream_handle: int) -> bool:
        """False, with a log line, if anything is missing."""
        with self._enter("execute_async_v3"):
            if not self._settled:  # benchmarks rely on a cheap enqueue
                problem = self._problem()
                if problem:
                    return self._refuse(f"IExecutionContext::enqueueV3: Error Code 3: ({problem})")
                self._settled = not any(tensor.host for tensor in self._model.inputs)
            if Hooks.capturing(stream_handle) and not self._is_capturable():
                return self._refuse(
                    "IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (operation not "
                    "permitted when stream is capturing)"
                )
            accepted = self._model.kernel(self, stream_handle)
            self._warm = self._warm or accepted
            return accepted

    def _is_capturable(self) -> bool:
        """Not the first enqueue after a change, which allocates."""
        growing = any(tensor.data_dependent for tensor in self._model.outputs)
        return bool(self._model.capturable and self._warm and not growing)

    def _wanted(self) -> int:
        """Bytes of activation memory that it has to be given."""
        return 0 if self._own else self._model.activation(self._profile)

    def _problem(self) -> str:
        missing = self._missing()
        if missing:
            return f"the shape of input '{missing[0]}' is not set"
        if not self._try_to_infer():
            return "the shapes of the outputs cannot be inferred"
        for tensor in (*self._model.inputs, *self._model.outputs):
            if tensor.data_dependent:
                if not self._allocators.get(tensor.name, [None])[-1]:
                    return f"output '{tensor.name}' has no allocator"
            elif tensor.name not in self._addresses:
                return f"the address of '{tensor.name}' is not set"
            source = tensor.alias_of
            if source and self._addresses[source] != self._addresses[tensor.name]:
                return f"output '{tensor.name}' must share the memory of '{source}'"
        address, size = self._device_memory
        wanted = self._wanted()
        if wanted and (not address or size < wanted):
            return f"there are {size} bytes of activation memory, and {wanted} are wanted"
        return ""


class _Leaving:
    """The other half of `_enter`; faster than a generator."""

    def __init__(self, user: Any):
        self._user = user

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._user.release()


def _within(low: Shape, shape: Shape, high: Shape) -> bool:
    same = len(low) == len(shape) == len(high)
    return same and all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True))
