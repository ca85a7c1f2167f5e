"""A double of `tensorrt` 10.16: with what 11 has removed, and with 10's numbers."""

from collections.abc import Sequence as _Sequence
from typing import Any as _Any

from support.doubles import trt_builder as _builder
from support.doubles import trt_builds as _builds
from support.doubles import trt_config as _config
from support.doubles import trt_context as _context
from support.doubles import trt_engine as _engine
from support.doubles import trt_network as _network
from support.doubles import trt_tensors as _tensors
from support.doubles.trt_common import *  # noqa: F403 - what 11.4 has too
from support.doubles.trt_config import IOptimizationProfile as IOptimizationProfile
from support.doubles.trt_names import DataType as DataType
from support.doubles.trt_names import Numbered as _Numbered

__version__ = "10.16.1.11"

_calls, _violations = _context.calls, _context.violations

_SHORT = "10.16.1"


class BuilderFlag(_Numbered):
    """With those by which TensorRT chooses types."""

    FP16 = 0
    INT8 = 1
    DEBUG = 2
    GPU_FALLBACK = 3
    REFIT = 4
    DISABLE_TIMING_CACHE = 5
    TF32 = 6
    SPARSE_WEIGHTS = 7
    SAFETY_SCOPE = 8
    OBEY_PRECISION_CONSTRAINTS = 9
    PREFER_PRECISION_CONSTRAINTS = 10
    DIRECT_IO = 11
    REJECT_EMPTY_ALGORITHMS = 12
    VERSION_COMPATIBLE = 13
    EXCLUDE_LEAN_RUNTIME = 14
    FP8 = 15
    ERROR_ON_TIMING_CACHE_MISS = 16
    BF16 = 17
    DISABLE_COMPILATION_CACHE = 18
    STRIP_PLAN = 19
    WEIGHTLESS = 19
    REFIT_IDENTICAL = 20
    WEIGHT_STREAMING = 21
    INT4 = 22
    REFIT_INDIVIDUAL = 23
    STRICT_NANS = 24
    MONITOR_MEMORY = 25
    FP4 = 26
    EDITABLE_TIMING_CACHE = 27
    DISTRIBUTIVE_INDEPENDENCE = 28


class NetworkDefinitionCreationFlag(_Numbered):
    """Whether types come from the network is a choice here."""

    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1
    PREFER_JIT_PYTHON_PLUGINS = 2
    PREFER_AOT_PYTHON_PLUGINS = 3


class TacticSource(_Numbered):
    """With libraries that 11 has dropped."""

    CUBLAS = 0
    CUBLAS_LT = 1
    CUDNN = 2
    EDGE_MASK_CONVOLUTIONS = 3
    JIT_CONVOLUTIONS = 4


class CalibrationAlgoType(_Numbered):
    """As in TensorRT."""

    LEGACY_CALIBRATION = 0
    ENTROPY_CALIBRATION = 1
    ENTROPY_CALIBRATION_2 = 2
    MINMAX_CALIBRATION = 3


class IInt8Calibrator:
    """To be subclassed."""

    def __init__(self) -> None:
        self._made = True

    def get_batch_size(self) -> int:
        """Overridden, as the others are."""
        raise NotImplementedError

    def get_batch(self, names: _Sequence[str]) -> list[int] | None:
        """Device addresses of the inputs; None at the end."""
        raise NotImplementedError

    def read_calibration_cache(self) -> bytes | None:
        """What was written; None to calibrate."""
        raise NotImplementedError

    def write_calibration_cache(self, cache: bytes) -> None:
        """For the next time."""
        raise NotImplementedError

    def get_algorithm(self) -> CalibrationAlgoType:
        """Of the class."""
        raise NotImplementedError


class IInt8EntropyCalibrator2(IInt8Calibrator):
    """To be subclassed."""

    def get_algorithm(self) -> CalibrationAlgoType:
        """Of the class."""
        return CalibrationAlgoType.ENTROPY_CALIBRATION_2


class IInt8MinMaxCalibrator(IInt8Calibrator):
    """To be subclassed."""

    def get_algorithm(self) -> CalibrationAlgoType:
        """Of the class."""
        return CalibrationAlgoType.MINMAX_CALIBRATION


class ITensor(_tensors.ITensor):
    """Its type can be set, without strong types."""

    @property
    def dtype(self) -> DataType:
        """Of its elements."""
        return super().dtype

    @dtype.setter
    def dtype(self, value: DataType) -> None:
        if self._given is not None:
            self._given = self._given[0], _tensors.numpy_of(value)


class INetworkDefinition(_network.INetworkDefinition):
    """Its tensors' types can be set."""

    _tensor_type = ITensor


class IBuilderConfig(_config.IBuilderConfig):
    """With calibration."""

    _flag_type = BuilderFlag
    _source_type = TacticSource
    _calibration: IOptimizationProfile | None = None

    int8_calibrator: IInt8Calibrator | None = None

    def __setattr__(self, name: str, value: _Any) -> None:
        if name == "int8_calibrator" and not isinstance(value, IInt8Calibrator | None):
            raise TypeError(f"(): incompatible function arguments: {name} = {value!r}")
        super().__setattr__(name, value)

    def set_calibration_profile(self, profile: IOptimizationProfile) -> bool:
        """Which shapes calibration runs with."""
        self._calibration = profile
        return True

    def get_calibration_profile(self) -> IOptimizationProfile | None:
        """The one that was set."""
        return self._calibration


class Builder(_builder.Builder):
    """Makes the above."""

    _version = _SHORT
    _network_flags = NetworkDefinitionCreationFlag
    _config_type = IBuilderConfig
    _network_type = INetworkDefinition

    def _is_strong(self, flags: int) -> bool:
        return bool(flags & 1 << int(NetworkDefinitionCreationFlag.STRONGLY_TYPED))

    @property
    def platform_has_fast_fp16(self) -> bool:
        """Of the GPU."""
        return _builds.current().fast_fp16

    @property
    def platform_has_fast_int8(self) -> bool:
        """Of the GPU."""
        return _builds.current().fast_int8

    @property
    def platform_has_tf32(self) -> bool:
        """Of the GPU."""
        return True


class ICudaEngine(_engine.ICudaEngine):
    """Its inspector calls the inputs and outputs otherwise."""

    _tensors_key = "Bindings"


class Runtime(_engine.Runtime):
    """Reads its own plans only."""

    _version = _SHORT
    _engine_type = ICudaEngine
