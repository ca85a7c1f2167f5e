"""All of TensorRT that this library uses at run time, as types.

TensorRT ships no types. Everything in `runtimes/tensorrt` is typed against these protocols, so mypy
refuses a name that is not listed here, and `tests/conformance` checks every listed name and
parameter against the genuine bindings of TensorRT 10.16 and 11.4. What only some versions or
variants have is marked with `only_some` and may be used only behind a `hasattr`.

Facts are from the bindings' own docstrings and `include/NvInferRuntime.h`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

_Member = TypeVar("_Member", bound=Callable[..., Any])


def only_some(member: _Member) -> _Member:
    """Mark what some supported TensorRT lacks: check `hasattr` before each use."""
    member.only_some = True  # type: ignore[attr-defined]  # a mark on a function
    return member


class Dims(Protocol):
    """A shape. Slow and unhashable: turned into a tuple at once."""

    def __iter__(self) -> Any: ...
    def __len__(self) -> int: ...


class Runtime(Protocol):
    """Deserializes plans. Constructing one without a working driver can kill the process."""

    engine_host_code_allowed: bool

    def deserialize_cuda_engine(self, serialized_engine: Any) -> "CudaEngine | None":
        """From a buffer; None on failure, with a log line. Releases the GIL."""


class CudaEngine(Protocol):
    """A deserialized plan: thread-safe for the queries below."""

    name: str
    num_io_tensors: int
    num_optimization_profiles: int
    num_aux_streams: int
    num_layers: int
    device_memory_size_v2: int
    refittable: bool
    profiling_verbosity: Any
    hardware_compatibility_level: Any
    streamable_weights_size: int

    def get_tensor_name(self, index: int) -> str: ...
    def get_tensor_mode(self, name: str) -> Any: ...
    def get_tensor_dtype(self, name: str) -> Any: ...
    def get_tensor_shape(self, name: str) -> Dims: ...
    def get_tensor_location(self, name: str) -> Any: ...
    def get_tensor_format_desc(self, name: str) -> str: ...
    def get_tensor_profile_shape(self, name: str, profile_index: int) -> Sequence[Dims]:
        """[min, opt, max]; for inputs only."""

    def get_tensor_profile_values(self, name: int, profile_index: str) -> Sequence[Sequence[int]]:
        """[min, opt, max] of a shape input. The bindings' parameter names are swapped: the profile
        comes first. By position only."""

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int: ...
    def create_execution_context(self, strategy: Any) -> "ExecutionContext | None":
        """None on failure, with a log line. Releases the GIL. Takes a runtime config instead of the
        strategy, too."""

    @only_some
    def create_engine_inspector(self) -> "EngineInspector | None":
        """The lean runtime 11.4 has the method, but not the class that it returns."""

    @only_some
    def get_aliased_input_tensor(self, name: str) -> str:
        """The input with which this output shares memory; "" for none. Since 10.15."""


class EngineInspector(Protocol):
    """What a plan says about its layers; how much was chosen when it was built."""

    def get_engine_information(self, format: Any) -> str: ...


class ExecutionContext(Protocol):
    """The state of one inference at a time; never touched by two threads at once."""

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool: ...
    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        """False outside the profile, with a log line."""

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """256-byte aligned and never 0; stays set until overwritten."""

    def infer_shapes(self) -> Sequence[str]:
        """Names of what is still missing. Raises RuntimeError on actual errors."""

    def get_tensor_shape(self, name: str) -> Dims:
        """-1 where the size depends on data."""

    def get_max_output_size(self, name: str) -> int:
        """Upper bound in bytes for the current shapes; -1 when unknown."""

    def set_device_memory(self, memory: int, size: int) -> None: ...
    def set_output_allocator(self, name: str, output_allocator: Any) -> bool:
        """Keeps a new reference on every call: once per context and output."""

    @only_some
    def is_stream_capturable(self, stream: int) -> bool:
        """TensorRT for RTX."""

    def execute_async_v3(self, stream_handle: int) -> bool:
        """False when refused, with a log line. Releases the GIL."""


class SeverityLevels(Protocol):
    """`ILogger.Severity`."""

    INTERNAL_ERROR: Any
    ERROR: Any
    WARNING: Any
    INFO: Any
    VERBOSE: Any


class LoggerBase(Protocol):
    """`ILogger`, to be subclassed; the subclass must call `ILogger.__init__`."""

    Severity: SeverityLevels

    def __call__(self) -> Any: ...
    def log(self, severity: Any, msg: str) -> None: ...


class OutputAllocatorBase(Protocol):
    """`IOutputAllocator`, to be subclassed; calls come from inside `execute_async_v3`."""

    def __call__(self) -> Any: ...


class DataTypes(Protocol):
    """`DataType`. Members of newer versions are looked up by name with a default."""

    FLOAT: Any
    HALF: Any
    BF16: Any
    INT8: Any
    INT32: Any
    INT64: Any
    UINT8: Any
    BOOL: Any
    FP8: Any


class IoModes(Protocol):
    """`TensorIOMode`."""

    INPUT: Any
    OUTPUT: Any


class Locations(Protocol):
    """`TensorLocation`."""

    DEVICE: Any
    HOST: Any


class AllocationStrategies(Protocol):
    """`ExecutionContextAllocationStrategy`."""

    STATIC: Any
    USER_MANAGED: Any


class InformationFormats(Protocol):
    """`LayerInformationFormat`."""

    JSON: Any


class TensorRT(Protocol):
    """The module: `tensorrt`, `tensorrt_lean` or the bare bindings."""

    __version__: str
    ILogger: LoggerBase
    IOutputAllocator: OutputAllocatorBase
    DataType: DataTypes
    TensorIOMode: IoModes
    TensorLocation: Locations
    ExecutionContextAllocationStrategy: AllocationStrategies

    def Runtime(self, logger: Any) -> Runtime: ...  # noqa: N802 - TensorRT's own name

    @property
    @only_some
    def LayerInformationFormat(self) -> InformationFormats:  # noqa: N802 - TensorRT's own name
        """For the inspector."""

    @only_some
    def init_libnvinfer_plugins(self, logger: Any, namespace: str) -> bool:
        """Not in the lean runtime."""


GENUINE_NAMES = {
    Runtime: "Runtime",
    CudaEngine: "ICudaEngine",
    EngineInspector: "EngineInspector",
    ExecutionContext: "IExecutionContext",
    LoggerBase: "ILogger",
    SeverityLevels: "ILogger.Severity",
    OutputAllocatorBase: "IOutputAllocator",
    DataTypes: "DataType",
    IoModes: "TensorIOMode",
    Locations: "TensorLocation",
    InformationFormats: "LayerInformationFormat",
    AllocationStrategies: "ExecutionContextAllocationStrategy",
    Dims: "Dims",
    TensorRT: "",
}
"""Where each protocol is found in the genuine module ("" is the module itself)."""
