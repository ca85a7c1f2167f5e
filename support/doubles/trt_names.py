"""Enums and base classes of the double of `tensorrt`."""

import enum
from typing import Any

import numpy as np

from support.doubles import trt_builds


class Pybind(enum.EnumMeta):
    """Of an enum as pybind11 makes them: it has members, and holds none."""

    def __getitem__(cls, name: str) -> Any:
        raise TypeError(f"type '{cls.__name__}' is not subscriptable")

    def __iter__(cls) -> Any:
        raise TypeError(f"'{cls.__name__}' object is not iterable")

    def __len__(cls) -> int:
        raise TypeError(f"object of type '{cls.__name__}' has no len()")


class Numbered(enum.Enum, metaclass=Pybind):
    """An enum whose members are no numbers, but `int()` of one is."""

    def __int__(self) -> int:
        return int(self.value)

    __index__ = __int__


class DataType(Numbered):
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
    FP4 = 10
    E8M0 = 11


DTYPES = {
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
WORDS = {DataType.FLOAT: "FP32", DataType.HALF: "FP16"}
"""In `get_tensor_format_desc`; the others are called as they are."""


class TensorIOMode(Numbered):
    """As in TensorRT."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class TensorLocation(Numbered):
    """As in TensorRT."""

    DEVICE = 0
    HOST = 1


class TensorFormat(Numbered):
    """As in TensorRT, of which these are some."""

    LINEAR = 0
    CHW2 = 1
    HWC8 = 2
    CHW4 = 3


class ExecutionContextAllocationStrategy(Numbered):
    """As in TensorRT."""

    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class Made(type):
    """Of classes to be subclassed, whose `__init__` a subclass has to call."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        made = super().__call__(*arguments, **named)
        if not getattr(made, "_made", False):
            raise TypeError("__init__() must be called when overriding __init__")
        return made


class ILogger(metaclass=Made):
    """To be subclassed."""

    class Severity(Numbered):
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


class IOutputAllocator(metaclass=Made):
    """To be subclassed."""

    def __init__(self) -> None:
        self._made = True


class IProgressMonitor(metaclass=Made):
    """To be subclassed."""

    def __init__(self) -> None:
        self._made = True

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Overridden."""
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Overridden."""
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        """Overridden."""
        raise NotImplementedError


class Logging:
    """Says why something is refused, to the logger that the runtime was given."""

    _logger: Any

    def _listen_to(self, logger: Any) -> None:
        """A second logger is warned: what TensorRT says of itself goes to the first."""
        demand(logger, ILogger)
        self._logger = logger
        if trt_builds.current().first_logger(logger) is not logger:
            self._say(
                "The logger passed into a constructor differs from one already registered for an "
                "existing builder, runtime, or refitter. TensorRT maintains only a single logger.",
                ILogger.Severity.WARNING,
            )

    def _refuse(self, words: str) -> bool:
        return self._say(words, ILogger.Severity.ERROR)

    def _say(self, words: str, severity: ILogger.Severity) -> bool:
        try:
            self._logger.log(severity, words)
        except Exception as error:  # the bindings print it and go on
            print(f"[ERROR] Exception caught in log(): {error}")  # noqa: T201
        return False


def demand(value: Any, kind: type) -> None:
    """Raise what pybind11 does for an argument of a wrong type."""
    if not isinstance(value, kind):
        raise TypeError(f"incompatible function arguments: {value!r} is no {kind.__name__}")


MAX_DIMS = 8


def shape_of(value: Any) -> tuple[int, ...]:
    """As `Dims` takes it.

    Raises:
        TypeError: it is no sequence of numbers, or of too many.
    """
    if isinstance(value, str) or not all(isinstance(n, int | np.integer) for n in value):
        raise TypeError(f"incompatible function arguments: {value!r} is no shape")
    if len(value) > MAX_DIMS:
        raise TypeError(f"incompatible function arguments: {value!r} has more than 8 dimensions")
    return tuple(int(n) for n in value)
