"""How an engine is opened, as several commands let their users say it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, get_type_hints

from trtasync.cli.arguments import (
    BackendOption,
    BatchAxes,
    BatchingOption,
    BatchSizes,
    CacheFolder,
    CacheOwner,
    Devices,
    Graphs,
    MaxBatchSize,
    MaxQueueDelay,
    MaxQueueSize,
    MaxQueueTime,
    MaxRowBytes,
    ProfileOptions,
    RunTimeout,
    Streams,
    Threads,
    cache_of,
    read_batch_axes,
    read_batching,
    read_devices,
    read_limits,
    read_queue,
    read_sizes,
    read_switch,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFlags:
    """Options of a command, by the names of `open_engine`'s arguments."""

    backend: BackendOption = "auto"
    devices: Devices = None
    streams: Streams = None
    threads: Threads = None
    max_batch_size: MaxBatchSize = None
    batch_sizes: BatchSizes = None
    batching: BatchingOption = "auto"
    batch_axis: BatchAxes = None
    max_queue_delay: MaxQueueDelay = "0"
    max_queue_size: MaxQueueSize = None
    max_queue_time: MaxQueueTime = None
    max_row_bytes: MaxRowBytes = None
    run_timeout: RunTimeout = None
    profile: ProfileOptions = None
    cache_dir: CacheFolder = None
    cache_owner: CacheOwner = None
    graphs: Graphs = "on"

    def options(self) -> dict[str, Any]:
        """Keyword arguments of `open_engine`.

        Raises:
            InvalidInput: a text is not what it should be.
        """
        return {
            "backend": self.backend,
            "devices": read_devices(self.devices),
            "streams": self.streams,
            "threads": self.threads,
            "max_batch_size": self.max_batch_size,
            "batch_sizes": read_sizes(self.batch_sizes),
            "batching": read_batching(self.batching),
            "batch_axes": read_batch_axes(self.batch_axis),
            **read_queue(self.max_queue_delay, self.max_queue_size, self.max_queue_time),
            **read_limits(self.run_timeout, self.max_row_bytes),
            "profiles": self.profile or None,
            "cache": cache_of(self.cache_dir, self.cache_owner),
            "graphs": read_switch(self.graphs),
        }

    def given(self) -> dict[str, Any]:
        """Those that are not as they are by default, as they were given."""
        said = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, usual) in said.items() if value != usual}


def takes_engine_flags(command: Callable[..., None]) -> Callable[..., None]:
    """A command with `EngineFlags` as its parameter `engine`: its users get an option for each."""
    names = [field.name for field in fields(EngineFlags)]

    @wraps(command)
    def run(**given: Any) -> None:
        engine = EngineFlags(**{name: given.pop(name) for name in names})
        command(engine=engine, **given)

    hints = get_type_hints(command, include_extras=True)
    hints |= get_type_hints(EngineFlags, include_extras=True)
    del hints["engine"]
    # typer goes by these two
    run.__annotations__ = hints
    run.__signature__ = inspect.Signature(_parameters(command))  # type: ignore[attr-defined]
    return run


def _parameters(command: Callable[..., None]) -> list[inspect.Parameter]:
    """The command's own; those of an engine stand in the place of `engine`."""
    flags = list(inspect.signature(EngineFlags).parameters.values())
    found: list[inspect.Parameter] = []
    for own in inspect.signature(command).parameters.values():
        found += flags if own.name == "engine" else [own]
    # keywords only: those without a default may then follow those with one
    return [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in found]
