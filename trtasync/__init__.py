"""trtasync: asynchronous multi-stream batch inference. `await engine.infer(x)`."""

import logging
from typing import TYPE_CHECKING, Any

from trtasync.core.metrics import Statistics, StreamStatistics, TimeSummary
from trtasync.engine import Engine
from trtasync.errors import (
    BackendUnavailable,
    BuildError,
    CudaError,
    DeviceLost,
    EngineClosed,
    EngineRestarting,
    InferenceError,
    InvalidInput,
    PlanError,
    QueueFull,
    RequestTooLarge,
    RunTooLong,
    TrtasyncError,
    WrongLoop,
)
from trtasync.model.profiles import Profile, Shapes
from trtasync.model.tensors import Cut, Pad, TensorSpec
from trtasync.opening.api import connect, open_engine
from trtasync.shared.protocol import AnyEngine
from trtasync.system.logs import show_in_logs
from trtasync.system.version import __version__ as __version__

if TYPE_CHECKING:
    from trtasync.plans import BuilderConfig, BuildProgress, Plan, SharedCache, build_plan
    from trtasync.runtimes.function import FunctionBackend

__all__ = [
    "AnyEngine",
    "BackendUnavailable",
    "BuildError",
    "BuildProgress",
    "BuilderConfig",
    "CudaError",
    "Cut",
    "DeviceLost",
    "Engine",
    "EngineClosed",
    "EngineRestarting",
    "FunctionBackend",
    "InferenceError",
    "InvalidInput",
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
    "StreamStatistics",
    "TensorSpec",
    "TimeSummary",
    "TrtasyncError",
    "WrongLoop",
    "build_plan",
    "connect",
    "open_engine",
]

logging.getLogger("trtasync").addFilter(show_in_logs)

_LAZY = {
    "BuildProgress": "trtasync.plans",
    "BuilderConfig": "trtasync.plans",
    "FunctionBackend": "trtasync.runtimes.function",
    "Plan": "trtasync.plans",
    "SharedCache": "trtasync.plans",
    "build_plan": "trtasync.plans",
}
"""Who only opens engines does not wait for these to load (a fifth of `import trtasync`)."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        globals()[name] = getattr(import_module(_LAZY[name]), name)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
