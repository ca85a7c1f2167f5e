"""From a model to a cached plan; every step of TensorRT's way there, also on its own (`Phases`)."""

from typing import TYPE_CHECKING, Any

from trtasync.build.cache import SharedCache
from trtasync.build.config import BuilderConfig
from trtasync.build.plan import Plan, build_plan
from trtasync.build.progress import BuildProgress
from trtasync.profiles import Profile, Shapes

if TYPE_CHECKING:
    from trtasync.build.phases import Phases

__all__ = [
    "BuildProgress",
    "BuilderConfig",
    "Phases",
    "Plan",
    "Profile",
    "Shapes",
    "SharedCache",
    "build_plan",
]


def __getattr__(name: str) -> Any:
    """`Phases` brings in TensorRT's side, which costs more than all of `import trtasync`."""
    if name == "Phases":
        from trtasync.build.phases import Phases

        return Phases
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
