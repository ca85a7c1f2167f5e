"""`Runtime` and engines of the double of `tensorrt`."""

import json
from typing import Any

import numpy as np

from support.doubles import models, trt_builds, trt_plan
from support.doubles import trt_names as names
from support.doubles.trt_context import Hooks, IExecutionContext, violations
from support.doubles.trt_enums import (
    HardwareCompatibilityLevel,
    LayerInformationFormat,
    ProfilingVerbosity,
)
from support.doubles.trt_names import (
    DataType,
    ExecutionContextAllocationStrategy,
    ILogger,
    Logging,
    TensorIOMode,
    TensorLocation,
)

Shape = tuple[int, ...]


class Runtime(Logging):
    """Deserializes plans."""

    _version: str = "11.4.0"
    _engine_type: Any
    _lean: bool = False
    engine_host_code_allowed = False

    def __init__(self, logger: Any):
        self._listen_to(logger)
        if not Hooks.answered():
            violations.append("segfault: Runtime was made before CUDA answered any call")
        if Hooks.room() < 0:
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
        """None, with a log line, if it is not a plan for this version and GPU."""
        model, problem = self._read(bytes(memoryview(serialized_engine)))
        if model is None:
            self._refuse(problem)
            return None
        return self._engine_type._make(model, self._logger)

    def _read(self, data: bytes) -> tuple[models.Model | None, str]:
        """(the model, why not)."""
        model = models.find(data)
        if model is None:
            built = trt_plan.read(data)
            if built is None:
                return None, trt_plan.NOT_A_PLAN
            model = trt_plan.model_of(*built)
        gpu, capability = Hooks.gpu()
        problem = trt_plan.problem(model, self._version, capability)
        if not problem and model.host_code and not self.engine_host_code_allowed:
            problem = trt_plan.NEEDS_HOST_CODE
        if self._lean and not model.version_compatible:
            problem = trt_plan.NOT_LEAN
        if not problem and model.weight_bytes > Hooks.room():
            problem = trt_plan.NO_ROOM
        if model.gpu not in ("", gpu):
            self._say(trt_plan.OTHER_GPU, ILogger.Severity.WARNING)
        return (None, problem) if problem else (model, "")


class LeanEngine(Logging):
    """A deserialized plan."""

    _model: models.Model

    @classmethod
    def _make(cls, model: models.Model, logger: Any) -> "LeanEngine":
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

    def _tensor(self, name: str) -> models.Tensor:
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
        return names.DTYPES[dtype if isinstance(dtype, str) else np.dtype(dtype).name]

    def get_tensor_shape(self, name: str) -> Shape:
        """-1 where dynamic."""
        return self._tensor(name).shape

    def get_tensor_location(self, name: str) -> TensorLocation:
        """Host for shape tensors."""
        return TensorLocation.HOST if self._tensor(name).host else TensorLocation.DEVICE

    def get_tensor_format_desc(self, name: str) -> str:
        """In words."""
        dtype = self.get_tensor_dtype(name)
        words = names.WORDS.get(dtype, dtype.name)
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

    @property
    def num_layers(self) -> int:
        """After optimization."""
        return len(self._model.layers)

    @property
    def refittable(self) -> bool:
        """Its weights can be replaced."""
        return self._model.refittable

    @property
    def profiling_verbosity(self) -> ProfilingVerbosity:
        """It was built with."""
        return ProfilingVerbosity.__members__[self._model.verbosity]

    @property
    def hardware_compatibility_level(self) -> HardwareCompatibilityLevel:
        """It was built with."""
        return HardwareCompatibilityLevel.__members__[self._model.compatibility]

    @property
    def streamable_weights_size(self) -> int:
        """Bytes."""
        return self._model.streamable

    def create_execution_context(
        self, strategy: Any = ExecutionContextAllocationStrategy.STATIC
    ) -> IExecutionContext:
        """One more."""
        own = strategy is not ExecutionContextAllocationStrategy.USER_MANAGED
        if own and not trt_builds.current().static_contexts:
            violations.append("a context that allocates its own activation memory")
        return IExecutionContext._make(self, own)


class ICudaEngine(LeanEngine):
    """With what the lean runtime's engines lack."""

    _tensors_key = "I/O Tensors"

    def create_engine_inspector(self) -> "EngineInspector":
        """Reads what the plan says of its layers."""
        return EngineInspector._make(self)


class EngineInspector:
    """What a plan says about its layers."""

    _engine: ICudaEngine

    @classmethod
    def _make(cls, engine: ICudaEngine) -> "EngineInspector":
        inspector = cls()
        inspector._engine = engine
        return inspector

    def get_layer_information(self, layer_index: int, format: LayerInformationFormat) -> str:
        """Of one layer."""
        return json.dumps(self._layers()[layer_index])

    def get_engine_information(self, format: LayerInformationFormat) -> str:
        """Of all."""
        if format is not LayerInformationFormat.JSON:
            return "\n".join(map(str, self._layers()))
        names = [tensor.name for tensor in (*self._model.inputs, *self._model.outputs)]
        return json.dumps({"Layers": self._layers(), self._engine._tensors_key: names}, indent=1)

    @property
    def _model(self) -> models.Model:
        return self._engine._model

    def _layers(self) -> list[Any]:
        """As much as the builder was told to keep."""
        verbosity = self._engine.profiling_verbosity
        if verbosity is ProfilingVerbosity.NONE:
            return []
        if verbosity is ProfilingVerbosity.DETAILED:
            return list(self._model.layers)
        return [layer["Name"] for layer in self._model.layers]


Runtime._engine_type = ICudaEngine
