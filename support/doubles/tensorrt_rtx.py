"""The double of `tensorrt_rtx` 1.7 as far as it runs plans: kernels are compiled where they run.

Its names are checked against the genuine bindings; its rules have not been verified, for lack of a
GPU that TensorRT for RTX supports.
"""

import enum
import json
from typing import Any

from support.doubles import tensorrt as _full
from support.doubles import trt_engine as _engine
from support.doubles import trt_names as _names
from support.doubles.models import Model
from support.doubles.tensorrt import DataType as DataType
from support.doubles.tensorrt import EngineInspector as EngineInspector
from support.doubles.tensorrt import ILogger as ILogger
from support.doubles.tensorrt import IOutputAllocator as IOutputAllocator
from support.doubles.tensorrt import LayerInformationFormat as LayerInformationFormat
from support.doubles.tensorrt import TensorIOMode as TensorIOMode
from support.doubles.tensorrt import TensorLocation as TensorLocation
from support.doubles.trt_context import Hooks
from support.doubles.trt_context import IExecutionContext as _Context

__version__ = "1.7.1.116"

MAGIC = b"vtrt"

_calls, _violations = _full._calls, _full._violations

ExecutionContextAllocationStrategy = _names.ExecutionContextAllocationStrategy


class ComputeCapability(enum.Enum):
    """What plans can be built for."""

    NONE, CURRENT, SM75, SM80, SM86, SM89, SM120, SM121 = range(8)


class DynamicShapesKernelSpecializationStrategy(enum.Enum):
    """When kernels are compiled for a shape."""

    LAZY, EAGER, NONE = range(3)


class CudaGraphStrategy(enum.Enum):
    """Whether TensorRT itself captures graphs."""

    DISABLED, WHOLE_GRAPH_CAPTURE = range(2)


class IRuntimeCache:
    """Compiled kernels.

    Attributes:
        kernels: what was compiled, or read.
        compiled: how many were compiled.
    """

    def __init__(self) -> None:
        self.kernels: set[str] = set()
        self.compiled = 0

    def deserialize(self, blob: Any) -> bool:
        """False for what is broken, or was compiled for another GPU."""
        try:
            gpu, kernels = json.loads(bytes(blob))
        except ValueError:
            return False
        if gpu != list(Hooks.gpu()):
            return False
        self.kernels = set(kernels)
        return True

    def serialize(self) -> bytes:
        """All of it."""
        return json.dumps([Hooks.gpu(), sorted(self.kernels)]).encode()

    def run(self, kernel: str) -> None:
        """Compile it, if it is new."""
        self.compiled += kernel not in self.kernels
        self.kernels.add(kernel)


class IRuntimeConfig:
    """How contexts are made."""

    def __init__(self) -> None:
        self.dynamic_shapes_kernel_specialization_strategy = (
            DynamicShapesKernelSpecializationStrategy.LAZY
        )
        self.cuda_graph_strategy = CudaGraphStrategy.DISABLED
        self._strategy = ExecutionContextAllocationStrategy.STATIC
        self._cache: IRuntimeCache | None = None

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        """As the argument of `create_execution_context`."""
        self._strategy = strategy

    def get_execution_context_allocation_strategy(self) -> Any:
        """What was set."""
        return self._strategy

    def create_runtime_cache(self) -> IRuntimeCache:
        """An empty one."""
        return IRuntimeCache()

    def set_runtime_cache(self, cache: IRuntimeCache | None = None) -> bool:
        """For all contexts made with this."""
        self._cache = cache
        return True

    def get_runtime_cache(self) -> IRuntimeCache | None:
        """What was set."""
        return self._cache


class IExecutionContext(_Context):
    """Compiles a kernel for every shape it meets."""

    _config: IRuntimeConfig | None = None

    def is_stream_capturable(self, stream: int) -> bool:
        """As the model says."""
        _calls["is_stream_capturable"] += 1
        return self._model.capturable

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Compiled first, unless it is in the cache."""
        if self._config is not None and self._config._cache is not None:
            self._config._cache.run(f"{self._model.name} {sorted(self._shapes.items())}")
        return super().execute_async_v3(stream_handle)


class ICudaEngine(_full.ICudaEngine):
    """Its contexts are made with a runtime configuration."""

    def create_runtime_config(self) -> IRuntimeConfig:
        """A new one."""
        config = IRuntimeConfig()
        _made.configs.append(config)
        return config

    def create_execution_context(
        self, strategy: Any = ExecutionContextAllocationStrategy.STATIC
    ) -> IExecutionContext:
        """By a strategy, or by a configuration."""
        config = strategy if isinstance(strategy, IRuntimeConfig) else None
        chosen = strategy if config is None else config._strategy
        context = IExecutionContext._make(
            self, chosen is not ExecutionContextAllocationStrategy.USER_MANAGED
        )
        assert isinstance(context, IExecutionContext)
        context._config = config
        _made.contexts.append(context)
        return context


class Runtime(_engine.Runtime):
    """Takes plans of its own kind, on GPUs of its own choice."""

    _version = "1.7.1"
    _engine_type = ICudaEngine

    def _read(self, data: bytes) -> tuple[Model | None, str]:
        if not data.startswith(MAGIC):
            return super()._read(b"")
        _, capability = Hooks.gpu()
        if f"SM{capability.replace('.', '')}" not in ComputeCapability.__members__:
            return None, (
                "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The engine cannot "
                f"run on this GPU, which has compute capability {capability}.)"
            )
        return super()._read(b"ftrt" + data[len(MAGIC) :])


class Made:
    """What was made since a test began.

    Attributes:
        configs, contexts: in order.
    """

    def __init__(self) -> None:
        self.configs: list[IRuntimeConfig] = []
        self.contexts: list[IExecutionContext] = []


_made = Made()
