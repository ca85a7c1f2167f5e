"""trtasync: asynchronous multi-stream batch inference. `await engine.infer(x)`."""

import logging
from typing import TYPE_CHECKING, Any

from trtasync.engine import Engine
from trtasync.errors import (
    BackendUnavailable,
    BuildError,
    CudaError,
    DeviceLost,
    EngineClosed,
    InferenceError,
    InvalidInput,
    PlanError,
    QueueFull,
    RequestTooLarge,
    RunTooLong,
    TrtasyncError,
    WrongLoop,
)
from trtasync.logs import show_in_logs
from trtasync.metrics import LaneStatistics, Statistics, TimeSummary
from trtasync.opening import open_engine
from trtasync.profiles import Profile, Shapes
from trtasync.tensors import Cut, Pad, TensorSpec

if TYPE_CHECKING:
    from trtasync.build import BuilderConfig, BuildProgress, Plan, SharedCache, build_plan

__all__ = [
    "BackendUnavailable",
    "BuildError",
    "BuildProgress",
    "BuilderConfig",
    "CudaError",
    "Cut",
    "DeviceLost",
    "Engine",
    "EngineClosed",
    "InferenceError",
    "InvalidInput",
    "LaneStatistics",
    "Pad",
    "Plan",
    "PlanError",
    "Profile",
    "QueueFull",
    "RequestTooLarge",
    "RunTooLong",
    "Shapes",
    "SharedCache",
    "Statistics",
    "TensorSpec",
    "TimeSummary",
    "TrtasyncError",
    "WrongLoop",
    "build_plan",
    "open_engine",
]

__version__ = "0.1.0"

logging.getLogger("trtasync").addFilter(show_in_logs)

_LAZY = ("BuildProgress", "BuilderConfig", "Plan", "SharedCache", "build_plan")
"""Who only opens engines does not wait for these to load (a fifth of `import trtasync`)."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from trtasync import build

        globals().update((each, getattr(build, each)) for each in _LAZY)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
