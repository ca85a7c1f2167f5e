"""What the doubles of `tensorrt` 11.4 and 10.16 have in common."""

from typing import Any as _Any

from tests.doubles.trt_config import IOptimizationProfile as IOptimizationProfile
from tests.doubles.trt_context import IExecutionContext as IExecutionContext
from tests.doubles.trt_engine import EngineInspector as EngineInspector
from tests.doubles.trt_enums import ActivationType as ActivationType
from tests.doubles.trt_enums import ElementWiseOperation as ElementWiseOperation
from tests.doubles.trt_enums import ErrorCode as ErrorCode
from tests.doubles.trt_enums import HardwareCompatibilityLevel as HardwareCompatibilityLevel
from tests.doubles.trt_enums import LayerInformationFormat as LayerInformationFormat
from tests.doubles.trt_enums import LayerType as LayerType
from tests.doubles.trt_enums import MatrixOperation as MatrixOperation
from tests.doubles.trt_enums import MemoryPoolType as MemoryPoolType
from tests.doubles.trt_enums import ProfilingVerbosity as ProfilingVerbosity
from tests.doubles.trt_enums import TilingOptimizationLevel as TilingOptimizationLevel
from tests.doubles.trt_names import DataType as DataType
from tests.doubles.trt_names import (
    ExecutionContextAllocationStrategy as ExecutionContextAllocationStrategy,
)
from tests.doubles.trt_names import ILogger as ILogger
from tests.doubles.trt_names import IOutputAllocator as IOutputAllocator
from tests.doubles.trt_names import IProgressMonitor as IProgressMonitor
from tests.doubles.trt_names import TensorFormat as TensorFormat
from tests.doubles.trt_names import TensorIOMode as TensorIOMode
from tests.doubles.trt_names import TensorLocation as TensorLocation
from tests.doubles.trt_onnx import OnnxParser as OnnxParser
from tests.doubles.trt_onnx import ParserError as ParserError
from tests.doubles.trt_tensors import ILayer as ILayer
from tests.doubles.trt_tensors import IShuffleLayer as IShuffleLayer
from tests.doubles.trt_tensors import Weights as Weights
from tests.doubles.trt_timing import IHostMemory as IHostMemory
from tests.doubles.trt_timing import ITimingCache as ITimingCache

Dims = tuple[int, ...]
"""A plain tuple serves: the product turns shapes into tuples at once."""


def init_libnvinfer_plugins(logger: _Any, namespace: str) -> bool:
    """There are none."""
    return True
