"""Enums of the builder's side. Where the numbers differ between versions, these are 11.4's."""

from support.doubles.trt_names import Numbered


class BuilderFlag(Numbered):
    """11.4's; see `tensorrt10` for the ones before."""

    DEBUG = 2
    GPU_FALLBACK = 3
    REFIT = 4
    DISABLE_TIMING_CACHE = 5
    TF32 = 6
    SPARSE_WEIGHTS = 7
    SAFETY_SCOPE = 8
    DIRECT_IO = 11
    VERSION_COMPATIBLE = 12
    EXCLUDE_LEAN_RUNTIME = 13
    ERROR_ON_TIMING_CACHE_MISS = 15
    DISABLE_COMPILATION_CACHE = 17
    STRIP_PLAN = 18
    REFIT_IDENTICAL = 19
    WEIGHT_STREAMING = 20
    REFIT_INDIVIDUAL = 22
    STRICT_NANS = 23
    MONITOR_MEMORY = 24
    EDITABLE_TIMING_CACHE = 26
    DISTRIBUTIVE_INDEPENDENCE = 27


class NetworkDefinitionCreationFlag(Numbered):
    """11.4's; see `tensorrt10` for the ones before."""

    STRONGLY_TYPED = 0
    PREFER_JIT_PYTHON_PLUGINS = 1
    PREFER_AOT_PYTHON_PLUGINS = 2


class TacticSource(Numbered):
    """11.4's; see `tensorrt10` for the ones before."""

    EDGE_MASK_CONVOLUTIONS = 0
    JIT_CONVOLUTIONS = 1


class MemoryPoolType(Numbered):
    """As in TensorRT."""

    WORKSPACE = 0
    DLA_MANAGED_SRAM = 1
    DLA_LOCAL_DRAM = 2
    DLA_GLOBAL_DRAM = 3
    TACTIC_DRAM = 4
    TACTIC_SHARED_MEMORY = 5


class HardwareCompatibilityLevel(Numbered):
    """As in TensorRT."""

    NONE = 0
    AMPERE_PLUS = 1
    SAME_COMPUTE_CAPABILITY = 2


class TilingOptimizationLevel(Numbered):
    """As in TensorRT."""

    NONE = 0
    FAST = 1
    MODERATE = 2
    FULL = 3


class ProfilingVerbosity(Numbered):
    """As in TensorRT."""

    LAYER_NAMES_ONLY = 0
    NONE = 1
    DETAILED = 2


class LayerInformationFormat(Numbered):
    """As in TensorRT."""

    ONELINE = 0
    JSON = 1


class LayerType(Numbered):
    """As in TensorRT, of which these are some."""

    CAST = 1
    ACTIVATION = 2
    ELEMENTWISE = 9
    PLUGIN_V3 = 46
    SHUFFLE = 13
    MATRIX_MULTIPLY = 17
    CONSTANT = 19
    IDENTITY = 20
    SHAPE = 23


class ElementWiseOperation(Numbered):
    """As in TensorRT, of which these are some."""

    SUM = 0
    PROD = 1
    MAX = 2
    MIN = 3
    SUB = 4
    DIV = 5


class ActivationType(Numbered):
    """As in TensorRT, of which these are some."""

    RELU = 0
    SIGMOID = 1
    TANH = 2


class MatrixOperation(Numbered):
    """As in TensorRT."""

    NONE = 0
    TRANSPOSE = 1
    VECTOR = 2


class ErrorCode(Numbered):
    """Of the ONNX parser."""

    SUCCESS = 0
    INTERNAL_ERROR = 1
    MEM_ALLOC_FAILED = 2
    MODEL_DESERIALIZE_FAILED = 3
    INVALID_VALUE = 4
    INVALID_GRAPH = 5
    INVALID_NODE = 6
    UNSUPPORTED_GRAPH = 7
    UNSUPPORTED_NODE = 8
    UNSUPPORTED_NODE_ATTR = 9
    UNSUPPORTED_NODE_INPUT = 10
    UNSUPPORTED_NODE_DATATYPE = 11
    UNSUPPORTED_NODE_DYNAMIC = 12
    UNSUPPORTED_NODE_SHAPE = 13
    REFIT_FAILED = 14
