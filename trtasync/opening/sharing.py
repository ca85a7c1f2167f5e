"""Engines in processes that others share: started by who comes first, or there already."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from trtasync.errors import InvalidInput
from trtasync.loops import free_in_thread, in_thread
from trtasync.opening.loading import EngineOptions
from trtasync.opening.plain import options_to_plain
from trtasync.shared.client import SharedEngine
from trtasync.shared.joining import Joined
from trtasync.shared.link import Way
from trtasync.shared.starting import Started
from trtasync.system.stopping import Stop


async def open_shared(
    options: EngineOptions,
    linger: float,
    reconnect: float,
    traces: str | None,
    hang_timeout: float,
) -> SharedEngine:
    """Join the process of an engine, and start it if there is none. A `hang_timeout` of inf is for
    whatever it takes.

    Raises:
        TrtasyncError: see `open_engine`.
    """
    plain = options_to_plain(options)
    model, name = _model(options), _name(options)
    way = partial(Started, model, plain, name, linger, traces, hang_timeout)
    return await join_engine(way, name, reconnect, hang_timeout)


async def join_engine(
    way: Callable[[], Way], name: str | None, reconnect: float, hang_timeout: float
) -> SharedEngine:
    """Reach a host in a thread, and make an engine of it in this loop.

    Args:
        way: makes the way to it; may block.
        name: of the engine; None for the host's.
        reconnect: seconds that requests wait for a host that has ended.
        hang_timeout: seconds for which a host may be silent; inf for whatever it takes.
    """
    stop = Stop()

    def reach() -> tuple[Way, Joined]:
        found = way()
        return found, found.join(stop)

    reached, joined = await in_thread(
        reach, undo=lambda both: both[1].close(), interrupt=stop.call_off
    )
    try:
        return SharedEngine(name, joined, reached, reconnect, hang_timeout)
    except BaseException:
        await free_in_thread(joined.close)
        raise


def _model(options: EngineOptions) -> Path | bytes:
    model = options.model
    if isinstance(model, bytes):
        return model
    if isinstance(model, (str, os.PathLike)):
        return Path(os.path.abspath(model))
    raise InvalidInput(
        "shared=True opens the model in another process, which cannot use a "
        f"{type(model).__name__} of this one: give the path of a model or its bytes, or leave "
        "shared=True out.",
        name="model",
    )


def _name(options: EngineOptions) -> str:
    if options.name is not None:
        return options.name
    return "model" if isinstance(options.model, bytes) else Path(options.model).stem
