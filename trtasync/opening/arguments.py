"""What makes no sense whatever the model is: refused before anything is loaded."""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, cast

from trtasync.errors import BackendUnavailable, InvalidInput
from trtasync.model.profiles import Profile
from trtasync.model.tensors import Pad
from trtasync.opening.backends import BACKENDS, BackendName
from trtasync.opening.loading import EngineOptions
from trtasync.rows import Batching
from trtasync.runtimes import Backend

if TYPE_CHECKING:  # TensorRT's side is loaded when it is needed
    from trtasync.plans import BuilderConfig, SharedCache

Model = str | os.PathLike[str] | bytes | bytearray | memoryview | Backend

LINGER = 10.0

HANG_TIMEOUT = 30.0
"""Seconds for which a process, or a batch in one, may stand still before it is taken to hang."""


class EngineArguments(TypedDict, total=False):
    """The keyword arguments of `open_engine` that say what an engine is like."""

    backend: BackendName
    devices: Sequence[int] | None
    streams: int | None
    max_batch_size: int | None
    batch_sizes: Sequence[int] | None
    max_queue_delay: float
    preferred_batch_size: Sequence[int] | None
    max_queue_size: int | None
    max_queue_time: float | None
    padding: Mapping[str, Pad] | None
    batching: Batching
    batch_axes: Mapping[str, int | None] | None
    check_seconds: float
    threads: int | None
    loop_budget: float
    run_timeout: float | None
    max_row_bytes: int | None
    graphs: bool
    copy_threads: int | None
    inline_bytes: int | None
    profiles: Profile | str | Sequence[Profile | str] | None
    builder_config: "BuilderConfig | None"
    cache: "bool | str | os.PathLike[str] | SharedCache"
    engine_host_code_allowed: bool
    name: str | None


def check_sharing(
    shared: object, linger: object, reconnect: object, traces: object, hang_timeout: object
) -> None:
    """Refuse what makes no sense of how an engine is shared.

    Raises:
        InvalidInput: naming the argument.
        BackendUnavailable: this system has no such engines.
    """
    if not isinstance(shared, bool):
        raise InvalidInput(f"shared must be True or False, not {shared!r}.", name="shared")
    check_seconds("linger", linger)
    check_seconds("reconnect", reconnect)
    check_seconds("hang_timeout", hang_timeout)
    if traces is not None and not isinstance(traces, str):
        raise InvalidInput(f"traces must be an exporter's name, not {traces!r}.", name="traces")
    usual = {
        "linger": linger == LINGER,
        "reconnect": reconnect == 0.0,
        "traces": traces is None,
        "hang_timeout": hang_timeout == HANG_TIMEOUT,
    }
    for name, is_usual in usual.items():
        if not (shared or is_usual):
            raise InvalidInput(f"{name} requires shared=True; give both.", name=name)
    if shared:
        demand_linux("shared=True")


def demand_linux(what: str) -> None:
    """Refuse what rests on memory files, which no other system seals.

    Raises:
        BackendUnavailable: this system is another one.
    """
    if not sys.platform.startswith("linux"):
        raise BackendUnavailable(f"{what} needs Linux; open an engine in each process.")


def check_seconds(name: str, seconds: object) -> None:
    """Refuse what is no time span.

    Raises:
        InvalidInput: naming the argument.
    """
    if not _is_number(seconds) or not 0 <= cast(float, seconds) < math.inf:
        raise InvalidInput(f"{name} must be seconds, 0 or more, not {seconds!r}.", name=name)


def check_options(options: EngineOptions) -> None:
    """Refuse what makes no sense whatever the model is.

    Raises:
        InvalidInput: naming the option.
    """
    names = ("auto", *BACKENDS)
    if options.backend not in names:
        raise InvalidInput(
            f"backend must be one of {', '.join(map(repr, names))}; got {options.backend!r}.",
            name="backend",
            got=options.backend,
        )
    if options.batching not in ("auto", "proved", True, False):
        raise InvalidInput(
            f"batching must be 'auto', 'proved', True or False, not {options.batching!r}.",
            name="batching",
            got=str(options.batching),
        )
    if options.batch_axes is not None and not isinstance(options.batch_axes, Mapping):
        raise InvalidInput(
            f"batch_axes must map tensor names to axes or None, not {options.batch_axes!r}."
        )
    name: Any = options.name
    if name is not None and (not isinstance(name, str) or not name):
        raise InvalidInput(f"name must be a non-empty string, not {name!r}.", name="name")
    for name in (
        "streams",
        "threads",
        "copy_threads",
        "max_batch_size",
        "max_queue_size",
        "max_row_bytes",
    ):
        _demand_positive(name, getattr(options, name))
    for name in ("batch_sizes", "preferred_batch_size"):
        sizes = getattr(options, name)
        if sizes is not None and not isinstance(sizes, Sequence):
            raise InvalidInput(f"{name} must be a list of numbers, not {sizes!r}.", name=name)
        for size in sizes or ():
            _demand_positive(name, size, of="every number in ")
    for name in ("max_queue_delay", "loop_budget", "check_seconds"):
        check_seconds(name, getattr(options, name))
    for name in ("max_queue_time", "run_timeout"):
        limit = getattr(options, name)
        if limit is not None and not (_is_number(limit) and 0 < limit < math.inf):
            raise InvalidInput(
                f"{name} must be seconds, more than 0, or None, not {limit!r}.", name=name
            )
    _check_devices(options)
    sizes = options.batch_sizes or ()
    if sizes and options.max_batch_size and max(sizes) != options.max_batch_size:
        raise InvalidInput(
            f"the largest of batch_sizes={list(sizes)} must be "
            f"max_batch_size={options.max_batch_size}."
        )
    if options.preferred_batch_size and not options.max_queue_delay:
        raise InvalidInput(
            "preferred_batch_size requires max_queue_delay; give both.",
            name="preferred_batch_size",
        )
    if not isinstance(options.padding, Mapping):
        raise InvalidInput(f"padding must map input names to Pads, not {options.padding!r}.")
    for name, pad in options.padding.items():
        if not isinstance(pad, Pad):
            raise InvalidInput(f"padding[{name!r}] must be a trtasync.Pad, not {pad!r}.")


def _check_devices(options: EngineOptions) -> None:
    devices: Any = options.devices
    if devices is not None:
        whole = isinstance(devices, Sequence) and all(
            isinstance(index, int) and not isinstance(index, bool) and index >= 0
            for index in devices
        )
        if not whole or not devices or len(set(devices)) != len(devices):
            raise InvalidInput(f"devices must be a list of different GPU numbers, not {devices!r}.")
    size: Any = options.inline_bytes
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise InvalidInput(f"inline_bytes must be a number of bytes, 0 or more, not {size!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _demand_positive(name: str, value: object, of: str = "") -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInput(
            f"{of}{name} must be a whole number of at least 1, not {value!r}.", name=name
        )
