"""What is tuned: the model opened once, to learn what there is to choose from."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trtasync.errors import InvalidInput, PlanError
from trtasync.loops import in_thread
from trtasync.measure.machine import facts
from trtasync.measure.opened import read_options
from trtasync.opening.backends import BACKENDS, UNNAMED, NamedBackend
from trtasync.opening.judging import load_judged
from trtasync.opening.loading import EngineOptions, backend_for
from trtasync.plans import SharedCache
from trtasync.runtimes import Backend
from trtasync.runtimes.plan_files import is_plan
from trtasync.system.cores import cores
from trtasync.system.stopping import Stop
from trtasync.tune.settings import TUNED, Settings
from trtasync.tune.space import Buckets, Config, Space, powers_of_two

MOST_STREAMS = 4
"""On a GPU; measurements on an H200 found nothing to gain beyond three."""

START = 32
"""Rows of the largest batch to begin with."""

ON_ITS_WAY = ("profiles", "builder_config", "cache")
"""Options that are spent when the plan is built."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, ready to be opened in many configurations.

    Attributes:
        model: what to open; or a function that makes a backend.
        name: in words.
        call: what to print of it in a call of `open_engine`.
        before: a line to print before that call; "" for none.
        options: of `open_engine`, those that are tuned aside.
        backend: its name.
        space: what to choose from.
        start: where to begin.
        devices: that run batches.
        about: date, commit, hardware, versions.
        identity: all that measurements depend on; None for a model that nobody can look into.
    """

    model: Any
    name: str
    call: str
    before: str
    options: Mapping[str, Any]
    backend: str
    space: Space
    start: Config
    devices: int
    about: Mapping[str, Any]
    identity: Mapping[str, Any] | None

    def open_as(self) -> Any:
        """The model for `open_engine`."""
        return self.model() if callable(self.model) else self.model


async def examine(model: Any, how: Settings, options: Mapping[str, Any]) -> Subject:
    """Open a model once and close it again.

    Raises:
        InvalidInput: an option is one of those that are tuned, or makes no sense for this model.
        TrtasyncError: as from `open_engine` and `build_plan`.
    """
    if taken := sorted(set(options) & set(TUNED)):
        raise InvalidInput(
            f"{', '.join(taken)}: these options are tuned. Restrict them in the settings, e.g. "
            "Settings(streams=[2])."
        )
    given = read_options(model, options)
    if isinstance(model, (str, os.PathLike)):
        return await _examine_file(Path(model), how, dict(options), given)
    if not callable(model):
        raise InvalidInput(
            "tuning opens a model many times: give the path of an .onnx file or of a plan, or a "
            f"function that makes a backend, not {model!r}."
        )
    look = await _look(model, how)
    name = getattr(model, "__qualname__", type(model).__name__)
    return Subject(
        model=model,
        name=name,
        call=f"{name}()",
        before="",
        options=dict(options),
        identity=None,
        **look,
    )


async def _examine_file(
    path: Path, how: Settings, options: dict[str, Any], given: EngineOptions
) -> Subject:
    opened, call, before, digest = path, quoted(str(path)), "", ""
    if not is_plan(path):
        chosen = backend_for(path, given.backend, (given.devices or (0,))[0])
        if BACKENDS[chosen].load is None:
            opened, before = await _build(path, chosen, how, given)
            call = "plan"
            options = {name: value for name, value in options.items() if name not in ON_ITS_WAY}
            given = read_options(opened, options)
        else:
            digest = await in_thread(lambda: _onnx_digest(path))
    stop = Stop()
    look = await _look(
        lambda: load_judged(replace(given, model=opened), stop)[0],
        how,
        interrupt=stop.call_off,
        given=given,
    )
    identity = {
        "model": digest or await in_thread(lambda: _digest(opened)),
        "machine": platform.node(),
        "backend": look["backend"],
        "commit": look["about"]["commit"],
        **_flat("hardware", look["about"]["hardware"]),
        **_flat("versions", look["about"]["versions"]),
        **_flat("option", {name: repr(value) for name, value in sorted(options.items())}),
        "seconds": how.seconds,
        "warm_up": how.warm_up,
        "loop": how.loop,
        "rows": how.inputs.rows,
        "shapes": {name: list(shape) for name, shape in sorted(how.inputs.shapes.items())},
        "input": _digest(how.inputs.file) if how.inputs.file else f"seed {how.inputs.seed}",
    }
    return Subject(
        model=opened,
        name=str(path),
        call=call,
        before=before,
        options=options,
        identity=identity,
        **look,
    )


async def _build(path: Path, backend: Any, how: Settings, given: EngineOptions) -> tuple[Path, str]:
    """One plan for all configurations, and the call that finds it in the cache again."""
    from trtasync.plans import build_plan

    if given.cache is False:
        raise InvalidInput(
            "tuning opens the plan many times, so it has to be kept: leave cache=False out, or "
            "build it with build_plan(output=...) and tune that."
        )
    largest = (
        None if given.profiles else max(how.max_batch_size or (BACKENDS[backend].largest_batch,))
    )
    device = 0 if given.devices is None else given.devices[0]
    plan = await build_plan(
        path,
        profiles=given.profiles or None,
        max_batch_size=largest,
        builder_config=given.builder_config,
        cache=given.cache,
        device=device,
        backend=backend,
        batch_axes=given.batch_axes,
    )
    asked: dict[str, Any] = {}
    if given.profiles:
        texts = [str(profile) for profile in given.profiles]
        asked["profiles"] = texts[0] if len(texts) == 1 else texts
    else:
        asked["max_batch_size"] = largest
    if given.builder_config is not None:
        asked["builder_config"] = given.builder_config
    if given.cache is not True:
        asked["cache"] = given.cache if isinstance(given.cache, SharedCache) else str(given.cache)
    if device:
        asked["device"] = device
    if backend != "tensorrt":
        asked["backend"] = backend
    if given.batch_axes:
        asked["batch_axes"] = dict(given.batch_axes)
    words = "".join(f", {name}={quoted(value)}" for name, value in asked.items())
    return plan.path, f"plan = await trtasync.build_plan({quoted(str(path))}{words})"


async def _look(
    make: Callable[[], Backend],
    how: Settings,
    interrupt: Callable[[], object] | None = None,
    given: EngineOptions | None = None,
) -> dict[str, Any]:
    """What a backend says of itself; it is closed again."""

    def work() -> dict[str, Any]:
        backend = make()
        try:
            how.inputs.make(backend.spec.inputs)  # refused now, not each time
            space = _space(backend, how)
            first = Config(backend.default_streams, START, space.buckets[0], space.graphs[0], None)
            devices = len(given.devices) if given is not None and given.devices else 1
            return {
                "backend": backend.name,
                "space": space,
                "start": first,
                "devices": devices,
                "about": facts(backend),
            }
        finally:
            backend.close()

    return await in_thread(work, interrupt=interrupt)


def _space(backend: Backend, how: Settings) -> Space:
    named = BACKENDS.get(backend.name, UNNAMED)
    if how.graphs and not named.has_graphs:
        raise InvalidInput(f"CUDA graphs need a GPU; this model runs on {backend.name}.")
    if how.threads and not named.on_cpu:
        raise InvalidInput(f"CPU threads are the CPU backend's; this model runs on {backend.name}.")
    batches = tuple(sorted(set(how.max_batch_size or _batches(backend, named))))
    natural = {}
    if backend.spec.batched and backend.spec.fixed_batch is None:
        natural = {batch: backend.default_batch_sizes(batch) for batch in batches}
    kinds: Sequence[Buckets] = ("powers", "coarse") if any(natural.values()) else ("any", "powers")
    if backend.spec.fixed_batch is not None or not backend.spec.batched:
        kinds = ("any",)
    graphs: tuple[bool | None, ...] = (True, False) if named.has_graphs else (None,)
    threads: tuple[int | None, ...] = (None, 1) if named.on_cpu else (None,)
    most = cores() if named.on_cpu else MOST_STREAMS
    streams = range(1, most + 1) if most <= MOST_STREAMS else powers_of_two(most)
    return Space(
        streams=tuple(sorted(set(how.streams or streams))),
        max_batch_size=batches,
        buckets=tuple(dict.fromkeys(how.buckets or kinds)),
        graphs=tuple(dict.fromkeys(how.graphs or graphs)),
        threads=tuple(dict.fromkeys(how.threads or threads)),
        natural=natural,
        cores=cores() if named.on_cpu else 0,
    )


def _batches(backend: Backend, named: NamedBackend) -> Sequence[int]:
    """Powers of two between the smallest and the largest batch that the model takes."""
    spec = backend.spec
    if spec.fixed_batch is not None:
        return (spec.fixed_batch,)
    if not spec.batched:
        return (1,)
    largest = backend.largest_batch_size or named.largest_batch
    least = min(backend.default_batch_sizes(largest), default=1)
    return [size for size in powers_of_two(largest) if size >= least]


def quoted(value: Any) -> str:
    """As Python code, with the quotation marks that most people use."""
    if isinstance(value, SharedCache):
        folder, owner = quoted(os.fspath(value.folder)), quoted(value.owner)
        return f"trtasync.SharedCache({folder}, owner={owner})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _onnx_digest(path: Path) -> str:
    if not os.path.isfile(path):
        return ""  # opening it says so in better words
    from trtasync.plans.onnx_files import read_onnx

    return read_onnx(path, hashing=True).digest()  # external weights too


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror or error}.") from error


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix} {name}": value for name, value in values.items()}
