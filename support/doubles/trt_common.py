"""What the doubles of `tensorrt` 11.4 and 10.16 have in common."""

from typing import Any as _Any

from support.doubles.trt_config import IOptimizationProfile as IOptimizationProfile
from support.doubles.trt_context import IExecutionContext as IExecutionContext
from support.doubles.trt_engine import EngineInspector as EngineInspector
from support.doubles.trt_enums import ActivationType as ActivationType
from support.doubles.trt_enums import ElementWiseOperation as ElementWiseOperation
from support.doubles.trt_enums import ErrorCode as ErrorCode
from support.doubles.trt_enums import HardwareCompatibilityLevel as HardwareCompatibilityLevel
from support.doubles.trt_enums import LayerInformationFormat as LayerInformationFormat
from support.doubles.trt_enums import LayerType as LayerType
from support.doubles.trt_enums import MatrixOperation as MatrixOperation
from support.doubles.trt_enums import MemoryPoolType as MemoryPoolType
from support.doubles.trt_enums import ProfilingVerbosity as ProfilingVerbosity
from support.doubles.trt_enums import TilingOptimizationLevel as TilingOptimizationLevel
from support.doubles.trt_names import DataType as DataType
from support.doubles.trt_names import (
    ExecutionContextAllocationStrategy as ExecutionContextAllocationStrategy,
)
from support.doubles.trt_names import ILogger as ILogger
from support.doubles.trt_names import IOutputAllocator as IOutputAllocator
from support.doubles.trt_names import IProgressMonitor as IProgressMonitor
from support.doubles.trt_names import TensorFormat as TensorFormat
from support.doubles.trt_names import TensorIOMode as TensorIOMode
from support.doubles.trt_names import TensorLocation as TensorLocation
from support.doubles.trt_onnx import OnnxParser as OnnxParser
from support.doubles.trt_onnx import ParserError as ParserError
from support.doubles.trt_tensors import ILayer as ILayer
from support.doubles.trt_tensors import IShuffleLayer as IShuffleLayer
from support.doubles.trt_tensors import Weights as Weights
from support.doubles.trt_timing import IHostMemory as IHostMemory
from support.doubles.trt_timing import ITimingCache as ITimingCache

Dims = tuple[int, ...]
"""A plain tuple serves: the product turns shapes into tuples at once."""


def init_libnvinfer_plugins(logger: _Any, namespace: str) -> bool:
    """There are none."""
    return True
