"""The subject of a check: a model or its plan, run on its backend without an engine."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trtasync.errors import InvalidInput, PlanError
from trtasync.opening.backends import BACKENDS, Loader
from trtasync.opening.loading import backend_for
from trtasync.runtimes.plan_files import PlanFile, is_plan
from trtasync.runtimes.trials import ALL_CORES, Tried, open_plan, tried
from trtasync.system.stopping import Stop

if TYPE_CHECKING:
    from trtasync.plans.cache import CacheChoice
    from trtasync.plans.plan import Profiles
    from trtasync.plans.row_note import RowNote


@dataclass(frozen=True, slots=True)
class Target:
    """The model or plan to check.

    Attributes:
        model: the `.onnx` file, if there is one.
        plan: the plan, if there is one; the plan is checked then.
        load: opens the model if no plan is checked.
        note: where the findings on a cached plan's rows are stored.
    """

    model: Path | None
    plan: PlanFile | None
    load: Loader | None = None
    note: "RowNote | None" = None


def choose(
    model: Path,
    plan: str | os.PathLike[str] | None,
    backend: str,
    device: int,
    profiles: "Profiles | None",
    max_batch_size: int | None,
    batch_axes: Mapping[str, int | None] | None,
    cache: "CacheChoice",
    code_allowed: bool,
) -> Target:
    """Determine what is checked; build a plan if one is needed but not given.

    Raises:
        InvalidInput: two plans are given, or the model cannot be built like this.
        BackendUnavailable, PlanError: see `build_plan`.
    """
    if not os.path.isfile(model):
        raise PlanError(f"{model} is not a file; give the path of an .onnx model or of a plan.")
    if is_plan(model):
        if plan is not None:
            raise InvalidInput(
                f"{model} is a plan; give the .onnx model that {plan} was built from."
            )
        return Target(None, PlanFile(model, code_allowed=code_allowed))
    if plan is not None:
        return Target(model, PlanFile(Path(plan), code_allowed=code_allowed))
    chosen = backend_for(model, backend, device)
    if load := BACKENDS[chosen].load:
        return Target(model, None, load)
    from trtasync.plans.job import Job
    from trtasync.plans.plan import make_order
    from trtasync.plans.row_note import RowNote

    order = make_order(
        model,
        profiles=profiles,
        max_batch_size=max_batch_size,
        device=device,
        backend=chosen,
        batch_axes=batch_axes,
        cache=cache,
    )
    built = Job(order, Stop()).run()
    return Target(model, PlanFile(built.path, built.owner), note=RowNote.beside(built))


def open_target(target: Target, device: int, closing: ExitStack) -> Tried:
    """Open the plan, if there is one, else the model; `closing` closes it.

    Raises:
        TrtasyncError: as from the backend's `load`.
    """
    if target.plan is not None:
        return open_plan(target.plan, device, closing)
    assert target.model is not None
    assert target.load is not None
    return tried(target.load(target.model, ALL_CORES), closing)
