"""What a build is given and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtasync.model.axes import AxisNames
from trtasync.model.profiles import Profile
from trtasync.plans.agreement import AccuracyCheck
from trtasync.plans.cache import PlanCache
from trtasync.plans.config import BuilderConfig
from trtasync.plans.progress import ProgressCallback
from trtasync.plans.sources import Source
from trtasync.runtimes.flavours import Flavour
from trtasync.system.trust import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A build request; see `build_plan`."""

    source: Source
    profiles: tuple[Profile, ...]
    max_batch_size: int | None
    config: BuilderConfig
    output: Path | None
    cache: PlanCache | None
    cache_key: str | None
    device: int
    flavour: Flavour | None
    batch_axes: Mapping[str, int | None]
    check: AccuracyCheck | None
    progress: ProgressCallback | None


@dataclass(frozen=True, slots=True)
class Built:
    """The result of an order.

    Attributes:
        path: path of the plan.
        key: key of the cache's entry; "" if nothing identifies the network.
        cached: no build was needed.
        seconds: the duration of the build, now or when the entry was made.
        checksum: SHA-256 of the plan; "" if it is not kept.
        owner: whose file it is; checked again on what is opened.
        mode: mode of files beside it.
        facts: what the plan was built from and for.
        axes: tensor name -> its axes, as far as the model names them.
    """

    path: Path
    key: str
    cached: bool
    seconds: float
    checksum: str
    owner: Owner
    mode: int
    facts: Mapping[str, Any]
    axes: AxisNames
