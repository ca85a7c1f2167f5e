"""`build_plan`: from a model to a plan file, awaited."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, Literal

from anyio.lowlevel import checkpoint_if_cancelled

from trtasync.errors import InvalidInput
from trtasync.loops import in_thread
from trtasync.model.arrays import Array
from trtasync.model.axes import AxisNames
from trtasync.model.profiles import Profile, read_profiles
from trtasync.plans.agreement import AccuracyCheck
from trtasync.plans.cache import CacheChoice, read_cache
from trtasync.plans.config import BuilderConfig
from trtasync.plans.order import Built, Order
from trtasync.plans.paths import read_path
from trtasync.plans.progress import ProgressCallback
from trtasync.plans.sources import Source, check_source
from trtasync.runtimes.flavours import TENSORRT, of_backend
from trtasync.system.stopping import Stop

Profiles = Profile | str | Sequence[Profile | str]


@dataclass(frozen=True, slots=True)
class Plan:
    """A serialized plan in a file. `open_engine(plan)` takes it as it is.

    Attributes:
        path: the file.
        key: key of its entry in the cache; "" if it is not kept there.
        cached: it was taken from the cache; nothing was built.
        seconds: the duration of its build, now or back then.
        tensorrt: the version that built it.
        gpu: name of the GPU it was built on, or the compute capabilities it was built for.
        axes: tensor name -> its axes as the model file names them. They are not in the plan itself:
            `open_engine(plan)` uses them to cut off padding, `open_engine(path)` has to be told
            (`Cut`).
        flavour: "tensorrt", or "rtx" for TensorRT for RTX.
    """

    path: Path
    key: str
    cached: bool
    seconds: float
    tensorrt: str
    gpu: str
    axes: AxisNames = field(default_factory=dict, compare=False, repr=False)
    flavour: str = TENSORRT.name

    def __fspath__(self) -> str:
        """The file's path, for `open` and the like."""
        return os.fspath(self.path)


async def build_plan(
    source: Source,
    *,
    output: str | os.PathLike[str] | None = None,
    profiles: Profiles | None = None,
    max_batch_size: int | None = None,
    builder_config: BuilderConfig | None = None,
    cache: CacheChoice = True,
    cache_key: str | None = None,
    device: int = 0,
    backend: Literal["tensorrt", "tensorrt-rtx"] = "tensorrt",
    batch_axes: Mapping[str, int | None] | None = None,
    check: float | None = None,
    samples: Mapping[str, Array] | None = None,
    progress: ProgressCallback | None = None,
) -> Plan:
    """Build a TensorRT plan from an ONNX file or a network function, or take it from the cache.

    It runs in a thread of its own. When the awaiting task is cancelled, it returns at once,
    whatever the build is doing; the build stops at its next step, in the background, and no plan
    appears any more. If the plan has already appeared, the task gets it all the same. No file is
    ever left half-written.

    Args:
        source: path of an `.onnx` file (external weights beside it), or a function
            `define(network)` that uses TensorRT's own calls; with a second parameter `trt` it gets
            TensorRT's module. What the function returns is kept until the plan is built: TensorRT
            does not copy numpy weights.
        output: where to put the plan. Default: only in the cache.
        profiles: optimization profiles, as `Profile` or in trtexec's format. Inputs left out,
            and all of them by default, are derived from the model and `max_batch_size`.
        max_batch_size: rows of the largest batch of derived profiles. Default: 32.
        builder_config: how to build; see `BuilderConfig`.
        cache: keep plans in the user's cache folder (True), in a given folder, or not (False). Only
            files that this user or root owns, and nobody else can write, are taken from it; see
            `SharedCache` for another user's cache.
        cache_key: identifies a network function or a calibrator, which cannot be inspected: without
            it they are not cached. For a file, it is added to its content.
        device: index of the GPU to build for; unused where `builder_config` names
            `compute_capabilities`.
        backend: "tensorrt-rtx" selects TensorRT for RTX. With "tensorrt" the environment variable
            TRTASYNC_TENSORRT ("tensorrt", "rtx") may select one; otherwise TensorRT for RTX builds
            if `builder_config` names compute capabilities, else whichever is installed (TensorRT
            first).
        batch_axes: tensor name -> the axis along which rows lie, or None for none, if the model's
            own shapes do not tell; used to derive profiles.
        check: refuse a plan, even an older one in the cache, if an output differs from ONNX
            Runtime's by more than this fraction of its largest number. TensorRT 11.1 to 11.3 are
            known to miscompile some graphs.
        samples: what to check with: an array for every input, rows along its batch axis. Drawn at
            random by default.
        progress: called with every `BuildProgress`, in the building threads, one at a time. It
            must be quick. An exception in it stops the build and is raised here.

    Raises:
        InvalidInput: an argument makes no sense for this model, TensorRT or GPU.
        BackendUnavailable: no GPU, or no TensorRT that can build.
        BuildError: the model cannot be read or built, the plan cannot be written, or is wrong.
        InferenceError: with `check`, the model or the plan does not run on the samples.
    """
    stop = Stop()
    order = make_order(
        source,
        output=output,
        profiles=profiles,
        max_batch_size=max_batch_size,
        builder_config=builder_config,
        cache=cache,
        cache_key=cache_key,
        device=device,
        backend=backend,
        batch_axes=batch_axes,
        check=check,
        samples=samples,
        progress=progress,
    )
    await checkpoint_if_cancelled()  # a task that is already cancelled starts nothing
    built = await in_thread(lambda: _carry_out(order, stop), interrupt=stop.call_off, lasting=True)
    return as_plan(built)


def _carry_out(order: Order, stop: Stop) -> Built:
    with stop.harmless():
        from trtasync.plans.job import Job  # loads TensorRT's side, too: too slow for the loop
    return Job(order, stop).run()


def make_order(
    source: Any,
    *,
    output: Any = None,
    profiles: Any = None,
    max_batch_size: Any = None,
    builder_config: Any = None,
    cache: Any = True,
    cache_key: Any = None,
    device: Any = 0,
    backend: Any = "tensorrt",
    batch_axes: Any = None,
    check: Any = None,
    samples: Any = None,
    progress: Any = None,
) -> Order:
    """Check what can be checked without TensorRT; see `build_plan`.

    Raises:
        InvalidInput: an argument makes no sense.
    """
    check_source(source)
    if builder_config is not None and not isinstance(builder_config, BuilderConfig):
        raise InvalidInput(
            f"builder_config must be a trtasync.BuilderConfig, not {builder_config!r}."
        )
    config = builder_config or BuilderConfig()
    _demand_whole("max_batch_size", max_batch_size, 1)
    if device is None:
        raise InvalidInput("device must be the number of a GPU, not None.")
    _demand_whole("device", device, 0)
    text = isinstance(cache_key, str) and cache_key.isprintable() and bool(cache_key)
    _demand("cache_key", cache_key, "a text", text)
    plain = callable(progress) and not iscoroutinefunction(progress)
    _demand("progress", progress, "a function (not a coroutine function)", plain)
    if backend not in ("tensorrt", "tensorrt-rtx"):
        raise InvalidInput(f"backend must be 'tensorrt' or 'tensorrt-rtx', not {backend!r}.")
    _demand("batch_axes", batch_axes, "a mapping", isinstance(batch_axes, Mapping))
    kept_in = read_cache(cache)
    known = isinstance(source, (str, os.PathLike)) and config.calibrator is None
    if output is None and (kept_in is None or not (known or cache_key)):
        why = "without a cache" if kept_in is None else "nobody can tell two such networks apart"
        raise InvalidInput(
            f"there is no place for the plan: {why}. Say where to put it (output), or what "
            "identifies the network in the cache (cache_key)."
        )
    return Order(
        source=source,
        profiles=read_profiles(profiles),
        max_batch_size=max_batch_size,
        config=config,
        output=None if output is None else read_path("output", output),
        cache=kept_in,
        cache_key=cache_key,
        device=device,
        flavour=of_backend(backend),
        batch_axes=batch_axes or {},
        check=None if check is None else _accuracy_check(check, samples, source, config),
        progress=progress,
    )


def _accuracy_check(check: Any, samples: Any, source: Any, config: BuilderConfig) -> AccuracyCheck:
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidInput("check compares a plan with the .onnx file; a function has none.")
    if config.strip_plan:
        raise InvalidInput("a plan that is stripped of its weights cannot be checked.")
    return AccuracyCheck(check, samples)


def _demand_whole(name: str, value: Any, least: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
    _demand(name, value, f"a whole number from {least} on", whole)


def _demand(name: str, value: Any, wanted: str, holds: bool) -> None:
    if value is not None and not holds:
        raise InvalidInput(f"{name} must be {wanted}, not {value!r}.")


def as_plan(built: Built) -> Plan:
    """Convert it to what users get."""
    facts = built.facts
    return Plan(
        path=built.path,
        key=built.key,
        cached=built.cached,
        seconds=built.seconds,
        tensorrt=str(facts.get("tensorrt", "")),
        gpu=str(facts.get("gpu", "")),
        axes=built.axes,
        flavour=str(facts.get("flavour", TENSORRT.name)),
    )
