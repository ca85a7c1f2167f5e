"""All of TensorRT's builder side that this library uses, as types; see `runtimes/tensorrt/api.py`.

The lean and the dispatch runtime have none of it: `phases.require_builder` checks first.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from trtasync.runtimes.tensorrt.api import Dims, TensorRT, only_some


class HostMemory(Protocol):
    """A block of TensorRT's memory, which Python's buffer protocol reads."""

    nbytes: int


class Tensor(Protocol):
    """`ITensor`: an input, an output or a tensor between two layers."""

    name: str
    shape: Dims
    dtype: Any
    is_shape_tensor: bool

    def get_dimension_name(self, index: int) -> str | None:
        """The symbolic name that ONNX gave a dimension."""


class NetworkDefinition(Protocol):
    """`INetworkDefinition`; `define(network)` may call more on it than is listed here."""

    name: str
    num_inputs: int
    num_outputs: int
    num_layers: int

    def get_input(self, index: int) -> Tensor: ...
    def get_output(self, index: int) -> Tensor: ...


class OptimizationProfile(Protocol):
    """`IOptimizationProfile`. Both methods raise RuntimeError on impossible ranges."""

    def set_shape(
        self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]
    ) -> None: ...
    def set_shape_input(
        self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]
    ) -> None: ...


class TimingCache(Protocol):
    """`ITimingCache`: how fast tactics were on this GPU; must outlive the build."""

    def combine(self, input_cache: "TimingCache", ignore_mismatch: bool) -> bool:
        """False if the other is from another TensorRT version or device."""

    def serialize(self) -> HostMemory | None: ...


class BuilderConfiguration(Protocol):
    """`IBuilderConfig`."""

    builder_optimization_level: int
    avg_timing_iterations: int
    max_num_tactics: int
    max_aux_streams: int
    hardware_compatibility_level: Any
    tiling_optimization_level: Any
    profiling_verbosity: Any
    progress_monitor: Any

    def set_flag(self, flag: Any) -> None: ...
    def clear_flag(self, flag: Any) -> None: ...
    def get_flag(self, flag: Any) -> bool: ...
    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None: ...
    def get_memory_pool_limit(self, pool: Any) -> int: ...
    def set_tactic_sources(self, tactic_sources: int) -> bool:
        """A bit mask."""

    def add_optimization_profile(self, profile: OptimizationProfile) -> int:
        """Its index; -1 when it is not valid."""

    def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache | None: ...
    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool: ...
    def get_timing_cache(self) -> TimingCache | None: ...

    @property
    @only_some
    def num_compute_capabilities(self) -> int:
        """TensorRT for RTX only; 0 means every GPU that it supports."""

    @num_compute_capabilities.setter
    def num_compute_capabilities(self, number: int) -> None: ...

    @only_some
    def set_compute_capability(self, compute_capability: Any, index: int) -> bool:
        """TensorRT for RTX."""

    @property
    @only_some
    def int8_calibrator(self) -> Any:
        """Before 11."""

    @only_some
    def set_calibration_profile(self, profile: OptimizationProfile) -> bool:
        """Before 11."""


class Builder(Protocol):
    """`Builder`. Used by one thread at a time."""

    def create_network(self, flags: int) -> NetworkDefinition | None: ...
    def create_builder_config(self) -> BuilderConfiguration | None: ...
    def create_optimization_profile(self) -> OptimizationProfile | None: ...
    def build_serialized_network(
        self, network: NetworkDefinition, config: BuilderConfiguration
    ) -> HostMemory | None:
        """None on failure, with log lines. Releases the GIL for minutes."""

    @property
    @only_some
    def platform_has_fast_fp16(self) -> bool:
        """Before 11."""

    @property
    @only_some
    def platform_has_fast_int8(self) -> bool:
        """Before 11."""


class ParserError(Protocol):
    """One error that the ONNX parser reports about a model."""

    def code(self) -> Any: ...
    def desc(self) -> str: ...
    def node(self) -> int:
        """Its index in the graph; -1 if no node is to blame."""

    def node_name(self) -> str: ...
    def node_operator(self) -> str: ...


class OnnxParser(Protocol):
    """`OnnxParser`."""

    num_errors: int

    def parse(self, model: Any, path: str) -> bool:
        """`path` tells where external weights are. False on failure; see `get_error`."""

    def get_error(self, index: int) -> ParserError: ...


class ProgressMonitorBase(Protocol):
    """`IProgressMonitor`, to be subclassed. Called by several threads, under the GIL."""

    def __call__(self) -> Any: ...
    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None: ...
    def step_complete(self, phase_name: str, step: int) -> bool:
        """False cancels the build."""

    def phase_finish(self, phase_name: str) -> None: ...


class BuilderFlags(Protocol):
    """`BuilderFlag`. Others are looked up by name, with a default."""

    TF32: Any
    SPARSE_WEIGHTS: Any
    REFIT: Any
    STRIP_PLAN: Any
    VERSION_COMPATIBLE: Any
    EXCLUDE_LEAN_RUNTIME: Any
    WEIGHT_STREAMING: Any
    DISABLE_TIMING_CACHE: Any


class NetworkFlags(Protocol):
    """`NetworkDefinitionCreationFlag`."""

    STRONGLY_TYPED: Any


class MemoryPools(Protocol):
    """`MemoryPoolType`."""

    WORKSPACE: Any


class CompatibilityLevels(Protocol):
    """`HardwareCompatibilityLevel`."""

    NONE: Any
    AMPERE_PLUS: Any
    SAME_COMPUTE_CAPABILITY: Any


class TilingLevels(Protocol):
    """`TilingOptimizationLevel`."""

    NONE: Any
    FAST: Any
    MODERATE: Any
    FULL: Any


class Verbosities(Protocol):
    """`ProfilingVerbosity`."""

    LAYER_NAMES_ONLY: Any
    NONE: Any
    DETAILED: Any


class TacticSources(Protocol):
    """`TacticSource`. Others are looked up by name, with a default."""

    EDGE_MASK_CONVOLUTIONS: Any
    JIT_CONVOLUTIONS: Any


class FullTensorRT(TensorRT, Protocol):
    """The module with its builder: `tensorrt`, `tensorrt_rtx` or the bindings of either."""

    IProgressMonitor: ProgressMonitorBase
    BuilderFlag: BuilderFlags
    NetworkDefinitionCreationFlag: NetworkFlags
    MemoryPoolType: MemoryPools
    HardwareCompatibilityLevel: CompatibilityLevels
    TilingOptimizationLevel: TilingLevels
    ProfilingVerbosity: Verbosities
    TacticSource: TacticSources

    @property
    @only_some
    def ComputeCapability(self) -> Any:  # noqa: N802 - TensorRT's own name
        """TensorRT for RTX: members like SM89."""

    def Builder(self, logger: Any) -> Builder: ...  # noqa: N802 - TensorRT's own name
    def OnnxParser(  # noqa: N802 - TensorRT's own name
        self, network: NetworkDefinition, logger: Any
    ) -> OnnxParser: ...


GENUINE_NAMES = {
    HostMemory: "IHostMemory",
    Tensor: "ITensor",
    NetworkDefinition: "INetworkDefinition",
    OptimizationProfile: "IOptimizationProfile",
    TimingCache: "ITimingCache",
    BuilderConfiguration: "IBuilderConfig",
    Builder: "Builder",
    ParserError: "ParserError",
    OnnxParser: "OnnxParser",
    ProgressMonitorBase: "IProgressMonitor",
    BuilderFlags: "BuilderFlag",
    NetworkFlags: "NetworkDefinitionCreationFlag",
    MemoryPools: "MemoryPoolType",
    CompatibilityLevels: "HardwareCompatibilityLevel",
    TilingLevels: "TilingOptimizationLevel",
    Verbosities: "ProfilingVerbosity",
    TacticSources: "TacticSource",
    FullTensorRT: "",
}
"""Where each protocol is found in the genuine module ("" is the module itself)."""
