"""A double of the module `tensorrt`, with the surface that the product uses and its real rules.

Misuse returns False or None and logs, as the genuine bindings do; `tests/conformance` holds the
names and parameters against them. Whatever begins with an underscore is for tests. It does not
depend on the double of CUDA: benchmarks give it kernels for a real GPU.
"""

from typing import Any

import numpy as np

from tests.doubles import models as _models
from tests.doubles import trt_context as _context
from tests.doubles import trt_names as _names
from tests.doubles.trt_context import Hooks as _Hooks
from tests.doubles.trt_context import IExecutionContext as IExecutionContext
from tests.doubles.trt_names import DataType as DataType
from tests.doubles.trt_names import (
    ExecutionContextAllocationStrategy as ExecutionContextAllocationStrategy,
)
from tests.doubles.trt_names import ILogger as ILogger
from tests.doubles.trt_names import IOutputAllocator as IOutputAllocator
from tests.doubles.trt_names import TensorFormat as TensorFormat
from tests.doubles.trt_names import TensorIOMode as TensorIOMode
from tests.doubles.trt_names import TensorLocation as TensorLocation

__version__ = "11.4.0.106"

_calls, _violations = _context.calls, _context.violations

Shape = tuple[int, ...]
Dims = tuple[int, ...]
"""A plain tuple serves: the product turns shapes into tuples at once."""


def init_libnvinfer_plugins(logger: Any, namespace: str) -> bool:
    """There are none."""
    return True


class Runtime(_names.Logging):
    """Deserializes plans."""

    engine_host_code_allowed = False

    def __init__(self, logger: Any):
        if not getattr(logger, "_made", False):
            raise TypeError("ILogger.__init__() must be called when overriding __init__")
        if not _Hooks.answered():
            _violations.append("segfault: Runtime was made before CUDA answered any call")
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: Any) -> "ICudaEngine | None":
        """None, with a log line, when it is no plan for this version and GPU."""
        model, problem = _models.read_plan(bytes(memoryview(serialized_engine)))
        if model is None:
            self._refuse(problem)
            return None
        return ICudaEngine._make(model, self._logger)


class ICudaEngine(_names.Logging):
    """A deserialized plan."""

    _model: _models.Model
    _made = 0

    @classmethod
    def _make(cls, model: _models.Model, logger: Any) -> "ICudaEngine":
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
        return self._model.profile_count

    @property
    def num_aux_streams(self) -> int:
        """None."""
        return 0

    @property
    def device_memory_size_v2(self) -> int:
        """Of the largest profile."""
        return max(map(self._model.activation, range(self._model.profile_count)))

    def _tensor(self, name: str) -> _models.Tensor:
        tensor = self._model.tensor(name)
        # the genuine one gives Dims of length -1, whose str() reads wild memory
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
        return _names.DTYPES[dtype if isinstance(dtype, str) else np.dtype(dtype).name]

    def get_tensor_shape(self, name: str) -> Shape:
        """-1 where dynamic."""
        return self._tensor(name).shape

    def get_tensor_location(self, name: str) -> TensorLocation:
        """Host for shape tensors."""
        return TensorLocation.HOST if self._tensor(name).host else TensorLocation.DEVICE

    def get_tensor_format_desc(self, name: str) -> str:
        """In words."""
        dtype = self.get_tensor_dtype(name)
        words = _names.WORDS.get(dtype, dtype.name)
        return self._tensor(name).format or f"Row major linear {words} format (kLINEAR)"

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Shape]:
        """[min, opt, max]; inputs only: what the genuine one gives for outputs crashes `tuple`."""
        tensor = self._tensor(name)
        if tensor not in self._model.inputs:
            self._refuse(f"getProfileShape: '{name}' is no input")
            return []
        if tensor.host or not tensor.profiles:
            return [tensor.shape] * 3
        return list(tensor.profiles[profile_index])

    def get_tensor_profile_values(self, name: Any, profile_index: Any) -> list[list[int]]:
        """[min, opt, max] of a shape tensor; in the order (profile, name), as in the bindings."""
        return [list(values) for values in self._tensor(profile_index).profiles[name]]

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        """Of one context on this profile."""
        return self._model.activation(profile_index)

    def get_aliased_input_tensor(self, name: str) -> str:
        """The input that shares this output's memory; "" for none."""
        return self._tensor(name).alias_of

    def create_execution_context(self, strategy: Any) -> IExecutionContext:
        """One more."""
        if strategy is not ExecutionContextAllocationStrategy.USER_MANAGED:
            _violations.append("a context that allocates its own activation memory")
        ICudaEngine._made += 1
        return IExecutionContext._make(self)
