"""Options of `open_engine` as plain data, for an engine that another process opens.

Equal options are equal data, however they were written: processes that say the same share an
engine.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from trtasync.errors import InvalidInput
from trtasync.model.profiles import Profile
from trtasync.model.tensors import Pad
from trtasync.opening.loading import EngineOptions
from trtasync.plans.cache import SharedCache
from trtasync.plans.config import BuilderConfig
from trtasync.plans.paths import read_path
from trtasync.plans.plan import Plan

_NOT_OPTIONS = ("model", "name")
"""What is run, and what it is called, are told beside the options."""

_SECONDS = ("max_queue_delay", "max_queue_time", "check_seconds", "loop_budget", "run_timeout")
_LISTS = ("devices", "batch_sizes", "preferred_batch_size")


def options_to_plain(options: EngineOptions) -> dict[str, Any]:
    """What `options_from_plain` makes the same options of, in this and in other processes.

    Raises:
        InvalidInput: naming an option that cannot leave this process.
    """
    plain = {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if field.name not in _NOT_OPTIONS
    }
    for name in _SECONDS:
        plain[name] = None if plain[name] is None else float(plain[name])
    for name in _LISTS:
        plain[name] = None if plain[name] is None else list(plain[name])
    axes = options.batch_axes
    plain["batch_axes"] = None if axes is None else dict(axes)
    plain["padding"] = {name: _pad_to_plain(name, pad) for name, pad in options.padding.items()}
    plain["profiles"] = [profile.sorted_text() for profile in options.profiles]
    plain["builder_config"] = _config_to_plain(options.builder_config)
    plain["cache"] = _cache_to_plain(options.cache)
    if isinstance(options.model, Plan):
        plain["plan_axes"] = {name: list(dims) for name, dims in options.model.axes.items()}
    return plain


def options_from_plain(
    model: str | os.PathLike[str], plain: Mapping[str, Any], name: str | None
) -> EngineOptions:
    """The options again.

    Args:
        model: path of what is to be opened.
        plain: what `options_to_plain` gave, through JSON or not.
        name: what the engine is to be called.

    Raises:
        InvalidInput: they make no sense.
        TypeError: they are another version's.
    """
    given = dict(plain)
    axes = given.pop("plan_axes", None)
    opened: Any = model if axes is None else _plan(Path(model), axes)
    given["padding"] = {key: Pad(**pad) for key, pad in given["padding"].items()}
    given["profiles"] = tuple(map(Profile.parse, given["profiles"]))
    config = given["builder_config"]
    given["builder_config"] = None if config is None else BuilderConfig(**config)
    if isinstance(given["cache"], Mapping):
        given["cache"] = SharedCache(**given["cache"])
    return EngineOptions(model=opened, name=name, **given)


def _pad_to_plain(name: str, pad: Pad) -> dict[str, Any]:
    if pad.outputs:
        raise InvalidInput(
            f"padding[{name!r}] cuts outputs by functions (Cut), which cannot be sent to the "
            "process of a shared engine: name the outputs' axes in the model instead, or leave "
            "shared=True out.",
            name="padding",
        )
    return {
        "axis": pad.axis,
        "multiple_of": pad.multiple_of,
        "sizes": None if pad.sizes is None else list(pad.sizes),
        "value": float(pad.value),
    }


def _config_to_plain(config: BuilderConfig | None) -> dict[str, Any] | None:
    if config is None:
        return None
    if config.calibrator is not None:
        raise InvalidInput(
            "builder_config has a calibrator, an object that cannot be sent to the process of a "
            "shared engine: build the plan with build_plan(), and open that.",
            name="builder_config",
        )
    return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(config).items()}


def _cache_to_plain(cache: Any) -> Any:
    if isinstance(cache, bool):
        return cache
    if isinstance(cache, SharedCache):
        return {"folder": _absolute("cache", cache.folder), "owner": cache.owner}
    return _absolute("cache", cache)


def _absolute(name: str, path: Any) -> str:
    """The other process works in another folder."""
    return os.path.abspath(read_path(name, path, "True, False, a folder's path or a SharedCache"))


def _plan(path: Path, axes: Mapping[str, Any]) -> Plan:
    """A plan as `open_engine` needs it: what it was built from and how is not asked for."""
    named = {name: tuple(dims) for name, dims in axes.items()}
    return Plan(path, key="", cached=True, seconds=0.0, tensorrt="", gpu="", axes=named)
