"""A double of the module `tensorrt`, with the surface that the product uses and its real rules.

Misuse returns False or None and logs, as the genuine bindings do; `tests/conformance` holds the
names and parameters against them. Whatever begins with an underscore is for tests.
"""

import enum
import math
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.doubles import models

__version__ = "11.4.0.106"

_calls: Counter[str] = Counter()
"""How often each method of a context was called."""
_violations: list[str] = []
_capturing: Any = staticmethod(lambda stream: False)
"""Set by `tests.doubles.install`: is this stream being captured?"""

ALIGNMENT = 256

Shape = tuple[int, ...]


class DataType(enum.Enum):
    """As in TensorRT."""

    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    FP8 = 6
    BF16 = 7
    INT64 = 8
    INT4 = 9


_DTYPES = {
    "float32": DataType.FLOAT,
    "float16": DataType.HALF,
    "int8": DataType.INT8,
    "int32": DataType.INT32,
    "bool": DataType.BOOL,
    "uint8": DataType.UINT8,
    "float8_e4m3fn": DataType.FP8,
    "bfloat16": DataType.BF16,
    "int64": DataType.INT64,
    "int4": DataType.INT4,
}


class TensorIOMode(enum.Enum):
    """As in TensorRT."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class TensorLocation(enum.Enum):
    """As in TensorRT."""

    DEVICE = 0
    HOST = 1


class ExecutionContextAllocationStrategy(enum.Enum):
    """As in TensorRT."""

    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class ILogger:
    """To be subclassed."""

    class Severity(enum.Enum):
        """As in TensorRT."""

        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def __init__(self) -> None:
        self._made = True

    def log(self, severity: Any, msg: str) -> None:
        """Overridden."""
        raise NotImplementedError


class IOutputAllocator:
    """To be subclassed."""

    def __init__(self) -> None:
        self._made = True


def init_libnvinfer_plugins(logger: Any, namespace: str) -> bool:
    """There are none."""
    return True


class _Logging:
    """Says why something is refused, to the logger that the runtime was given."""

    _logger: Any

    def _refuse(self, words: str) -> bool:
        self._logger.log(ILogger.Severity.ERROR, words)
        return False


class Runtime(_Logging):
    """Deserializes plans."""

    engine_host_code_allowed = False

    def __init__(self, logger: Any):
        if not getattr(logger, "_made", False):
            raise TypeError("ILogger.__init__ was not called")
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: Any) -> "ICudaEngine | None":
        """None, with a log line, when it is no plan for this version and GPU."""
        model, problem = models.read_plan(bytes(memoryview(serialized_engine)))
        if model is None:
            self._refuse(problem)
            return None
        return ICudaEngine._make(model, self._logger)


class ICudaEngine(_Logging):
    """A deserialized plan."""

    _model: models.Model
    _made = 0

    @classmethod
    def _make(cls, model: models.Model, logger: Any) -> "ICudaEngine":
        engine = cls()
        engine._model = model
        engine._logger = logger
        return engine

    @property
    def name(self) -> str:
        """Of the network."""
        return self._model.name

    @property
    def num_io_tensors(self) -> int:
        """Inputs and outputs."""
        return len(self._model.inputs) + len(self._model.outputs)

    @property
    def num_optimization_profiles(self) -> int:
        """At least one."""
        return max(1, max(len(tensor.profiles) for tensor in self._model.inputs))

    @property
    def num_aux_streams(self) -> int:
        """None."""
        return 0

    @property
    def device_memory_size_v2(self) -> int:
        """Of the largest profile."""
        return self._model.activation_bytes

    def _tensor(self, name: str) -> models.Tensor:
        tensor = self._model.tensor(name)
        assert tensor is not None, f"the product asked for the unknown tensor {name}"
        return tensor

    def get_tensor_name(self, index: int) -> str:
        """Inputs first."""
        return [*self._model.inputs, *self._model.outputs][index].name

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        """Input or output."""
        inputs = [tensor.name for tensor in self._model.inputs]
        return TensorIOMode.INPUT if name in inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        """Of its elements."""
        dtype = self._tensor(name).dtype
        return _DTYPES[dtype if isinstance(dtype, str) else np.dtype(dtype).name]

    def get_tensor_shape(self, name: str) -> Shape:
        """-1 where dynamic."""
        return self._tensor(name).shape

    def get_tensor_location(self, name: str) -> TensorLocation:
        """Host for shape tensors."""
        return TensorLocation.HOST if self._tensor(name).host else TensorLocation.DEVICE

    def get_tensor_format_desc(self, name: str) -> str:
        """In words."""
        return self._tensor(name).format

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Shape]:
        """[min, opt, max]; inputs only."""
        tensor = self._tensor(name)
        if not tensor.profiles:
            return [tensor.shape] * 3
        return list(tensor.profiles[profile_index])

    def get_tensor_profile_values(self, name: Any, profile_index: Any) -> list[list[int]]:
        """[min, opt, max] of a shape tensor; in the order (profile, name), as in the bindings."""
        return [list(values) for values in self._tensor(profile_index).profiles[name]]

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        """Of one context on this profile."""
        return self._model.activation_bytes

    def get_aliased_input_tensor(self, name: str) -> str:
        """The input that shares this output's memory; "" for none."""
        return self._tensor(name).alias_of

    def create_execution_context(self, strategy: Any) -> "IExecutionContext":
        """One more."""
        if strategy is not ExecutionContextAllocationStrategy.USER_MANAGED:
            _violations.append("a context that allocates its own activation memory")
        ICudaEngine._made += 1
        return IExecutionContext._make(self)


class IExecutionContext(_Logging):
    """The state of one inference at a time."""

    _engine: ICudaEngine
    _model: models.Model
    _addresses: dict[str, int]
    _shapes: dict[str, Shape]
    _allocators: dict[str, list[Any]]
    _device_memory: tuple[int, int]
    _warm: Any
    _user: threading.Lock

    @classmethod
    def _make(cls, engine: ICudaEngine) -> "IExecutionContext":
        context = cls()
        context._engine = engine
        context._model = engine._model
        context._logger = engine._logger
        context._addresses = {}
        context._shapes = {}
        context._allocators = {}
        context._device_memory = (0, 0)
        context._profile = 0
        context._warm = None
        context._user = threading.Lock()
        return context

    def _enter(self, method: str) -> "threading.Lock":
        """Nobody else may be in here."""
        _calls[method] += 1
        if self._user.locked():
            _violations.append(f"two threads at once in one context ({method})")
        return self._user

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        """Raises RuntimeError where TensorRT's does."""
        _calls["set_optimization_profile_async"] += 1
        if not 0 <= profile_index < self._engine.num_optimization_profiles:
            self._refuse(f"setOptimizationProfileAsync: no profile {profile_index}")
            raise RuntimeError("Error in set optimization profile.")
        self._profile = profile_index
        self._shapes.clear()
        self._warm = None
        return True

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        """False outside the profile."""
        with self._enter("set_input_shape"):
            tensor = self._model.tensor(name)
            if tensor is None or tensor not in self._model.inputs:
                return self._refuse(f"setInputShape: '{name}' is no input")
            low, _, high = self._engine.get_tensor_profile_shape(name, self._profile)
            if len(shape) != len(low) or not all(
                a <= b <= c for a, b, c in zip(low, shape, high, strict=True)
            ):
                return self._refuse(
                    f"IExecutionContext::setInputShape: Error Code 3: API Usage Error (for tensor "
                    f"'{name}': {shape} is outside of {low} to {high} of profile {self._profile})"
                )
            if self._shapes.get(name) != tuple(shape):
                self._warm = None
            self._shapes[name] = tuple(shape)
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
            return True

    def infer_shapes(self) -> list[str]:
        """Sets the outputs' shapes; names what is missing."""
        with self._enter("infer_shapes"):
            missing = [t.name for t in self._model.inputs if not self._is_set(t)]
            if not missing:
                self._infer()
            return missing

    def _is_set(self, tensor: models.Tensor) -> bool:
        return tensor.name in (self._addresses if tensor.host else self._shapes)

    def _infer(self) -> None:
        from tests.doubles.kernels import view

        known = dict(self._shapes)
        for tensor in self._model.inputs:
            if tensor.host:
                self._shapes[tensor.name] = tensor.shape
                values = view(self._addresses[tensor.name], tensor.shape, tensor.dtype)
                known[tensor.name] = tuple(int(value) for value in values.ravel())
                low, _, high = tensor.profiles[self._profile]
                triples = zip(low, known[tensor.name], high, strict=True)
                if not all(a <= b <= c for a, b, c in triples):
                    self._refuse(f"inferShapes: values of '{tensor.name}' are outside the profile")
                    raise RuntimeError("Error in infer shapes.")
        first = next(t for t in self._model.inputs if not t.host)
        for tensor in self._model.outputs:
            if tensor.infer is not None:
                shape = tensor.infer(known)
            else:
                pairs = enumerate(tensor.shape)
                shape = tuple(self._shapes[first.name][i] if n < 0 else n for i, n in pairs)
            self._shapes[tensor.name] = tensor.shape if tensor.data_dependent else shape

    def get_tensor_shape(self, name: str) -> Shape:
        """-1 where it depends on data."""
        _calls["get_tensor_shape"] += 1
        return self._shapes[name]

    def get_max_output_size(self, name: str) -> int:
        """Bytes; -1 when unknown."""
        tensor = self._model.tensor(name)
        assert tensor is not None
        if tensor.data_dependent:
            return self._model.largest.get(name, -1)
        return int(math.prod(self._shapes[name]) * np.dtype(tensor.dtype).itemsize)

    def set_device_memory(self, memory: int, size: int) -> None:
        """Activation memory."""
        _calls["set_device_memory"] += 1
        self._device_memory = (int(memory), int(size))

    def set_output_allocator(self, name: str, output_allocator: Any) -> bool:
        """Keeps one more reference with every call."""
        _calls["set_output_allocator"] += 1
        self._allocators.setdefault(name, []).append(output_allocator)
        return True

    def _ask_allocator(self, name: str, size: int, stream: int) -> int:
        try:
            asked = self._allocators[name][-1].reallocate_output_async(name, 0, size, 256, stream)
        except Exception:  # the bindings print and swallow it
            return 0
        return int(asked or 0)

    def _tell_shape(self, name: str, shape: Sequence[int]) -> None:
        self._allocators[name][-1].notify_shape(name, tuple(shape))

    def execute_async_v3(self, stream_handle: int) -> bool:
        """False, with a log line, when anything is missing."""
        with self._enter("execute_async_v3"):
            problem = self._problem()
            if problem:
                return self._refuse(f"IExecutionContext::enqueueV3: Error Code 3: ({problem})")
            shapes = tuple(sorted(self._shapes.items()))
            if _capturing(stream_handle) and (not self._model.capturable or self._warm != shapes):
                return self._refuse(
                    "IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (operation not "
                    "permitted when stream is capturing)"
                )
            self._warm = shapes
            return self._model.kernel(self, stream_handle)

    def _problem(self) -> str:
        for tensor in self._model.inputs:
            if not self._is_set(tensor):
                return f"the shape of input '{tensor.name}' is not set"
            if tensor.name not in self._addresses:
                return f"the address of input '{tensor.name}' is not set"
        for tensor in self._model.outputs:
            if tensor.name not in self._shapes:
                return f"the shape of output '{tensor.name}' was not inferred"
            if tensor.data_dependent and not self._allocators.get(tensor.name):
                return f"output '{tensor.name}' has no allocator"
            if not tensor.data_dependent and tensor.name not in self._addresses:
                return f"the address of output '{tensor.name}' is not set"
            source = tensor.alias_of
            if source and self._addresses[source] != self._addresses[tensor.name]:
                return f"output '{tensor.name}' must share the memory of '{source}'"
        address, size = self._device_memory
        if not address or address % ALIGNMENT or size < self._model.activation_bytes:
            return "there is not enough activation memory"
        return ""
