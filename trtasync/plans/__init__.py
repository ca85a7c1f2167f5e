"""From a model to a cached plan; each TensorRT step on the way is also available (`Phases`)."""

from typing import TYPE_CHECKING, Any

from trtasync.model.profiles import Profile, Shapes
from trtasync.plans.cache import SharedCache
from trtasync.plans.config import BuilderConfig
from trtasync.plans.plan import Plan, build_plan
from trtasync.plans.progress import BuildProgress

if TYPE_CHECKING:
    from trtasync.plans.phases import Phases

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
    """Import `Phases` lazily: it loads TensorRT's side, which costs more than `import trtasync`."""
    if name == "Phases":
        from trtasync.plans.phases import Phases

        return Phases
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
