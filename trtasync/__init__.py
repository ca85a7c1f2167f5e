"""trtasync: asynchronous multi-stream batch inference. `await engine.infer(x)`."""

from trtasync.engine import Engine
from trtasync.errors import (
    BackendUnavailable,
    CudaError,
    DeviceLost,
    EngineClosed,
    InferenceError,
    InvalidInput,
    PlanError,
    QueueFull,
    TrtasyncError,
    WrongLoop,
)
from trtasync.metrics import LaneStatistics, Statistics, TimeSummary
from trtasync.opening import open_engine
from trtasync.tensors import Cut, Pad, TensorSpec

__all__ = [
    "BackendUnavailable",
    "CudaError",
    "Cut",
    "DeviceLost",
    "Engine",
    "EngineClosed",
    "InferenceError",
    "InvalidInput",
    "LaneStatistics",
    "Pad",
    "PlanError",
    "QueueFull",
    "Statistics",
    "TensorSpec",
    "TimeSummary",
    "TrtasyncError",
    "WrongLoop",
    "open_engine",
]

__version__ = "0.1.0"
