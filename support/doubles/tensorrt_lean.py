"""The double of `tensorrt_lean` 11.4: it runs version-compatible plans, and builds none."""

from support.doubles import tensorrt as _full
from support.doubles import trt_engine as _engine
from support.doubles.tensorrt import DataType as DataType
from support.doubles.tensorrt import (
    ExecutionContextAllocationStrategy as ExecutionContextAllocationStrategy,
)
from support.doubles.tensorrt import IExecutionContext as IExecutionContext
from support.doubles.tensorrt import ILogger as ILogger
from support.doubles.tensorrt import IOutputAllocator as IOutputAllocator
from support.doubles.tensorrt import TensorIOMode as TensorIOMode
from support.doubles.tensorrt import TensorLocation as TensorLocation

__version__ = "11.4.0.106"

_calls, _violations = _full._calls, _full._violations

Dims = tuple[int, ...]
ICudaEngine = _engine.LeanEngine


class Runtime(_engine.Runtime):
    """Its engines have no inspector."""

    _engine_type = ICudaEngine
    _lean = True
