"""The host as a process: opens models, reports that it is ready, handles signals."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import anyio

from trtasync.errors import InvalidInput
from trtasync.host.beats import beat
from trtasync.host.daemon import (
    asyncio_options,
    log,
    log_to_stderr,
    name_process,
    tell_watchdog,
    want_descriptors,
)
from trtasync.host.limits import Limits
from trtasync.host.logs import ClientLogs
from trtasync.host.models import Model
from trtasync.host.notify import notify
from trtasync.host.places import StartLock
from trtasync.host.service import Service
from trtasync.opening.api import engine_of
from trtasync.opening.loading import EngineOptions
from trtasync.tracing.exporting import exporting

LAST_SECONDS = 5.0
"""For closing what a lost device has left."""

LOST = 5
"""The exit code then."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a host should do.

    Attributes:
        models: the models to open.
        socket: path of the socket to listen at.
        limits: the limits of clients.
        lock: path of the file that starters of hosts lock; None if there are none.
        traces: OpenTelemetry exporter for spans; None for no tracing.
    """

    models: Sequence[EngineOptions]
    socket: str
    limits: Limits
    lock: str | None = None
    traces: str | None = None


def run(wanted: Wanted, ready: Callable[[], None], beats: int | None = None) -> None:
    """Run a host until it ends.

    Args:
        wanted: its configuration.
        ready: called when clients can connect.
        beats: descriptor of a pipe for signs of life; see `beat`.

    Raises:
        TrtasyncError: a model cannot be opened, or was lost.
    """
    log_to_stderr()
    want_descriptors()
    if beats is None:
        anyio.run(_host, wanted, ready, **asyncio_options())
    else:
        anyio.run(_beating_host, wanted, ready, beats, **asyncio_options())


async def _beating_host(wanted: Wanted, ready: Callable[[], None], beats: int) -> None:
    """A host that shows signs of life while its models are opened, which its loop leaves to
    threads."""
    failure: Exception | None = None
    async with anyio.create_task_group() as beside:
        beside.start_soon(beat, beats)
        try:
            await _host(wanted, ready)
        except Exception as error:
            failure = error  # as it is, and not as a group
        beside.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _host(wanted: Wanted, ready: Callable[[], None]) -> None:
    logs = ClientLogs()
    log.addHandler(logs)  # log lines of opening the models go to the starter
    async with exporting(wanted.traces) as tracing, AsyncExitStack() as open_models:
        models: dict[str, Model] = {}
        for options in wanted.models:
            engine = await open_models.enter_async_context(engine_of(options))
            if engine.name in models:
                raise InvalidInput(f"two models are called {engine.name!r}; rename a file.")
            models[engine.name] = Model(engine.name, engine)
            tracing.trace(engine)
        name_process(f"trtasync host: {', '.join(models)}")
        drain = partial(_close_all, list(models.values()))
        lock = StartLock(wanted.lock)
        service = Service(list(models.values()), wanted.limits, lock, logs, drain)
        service.listen(wanted.socket)
        async with anyio.create_task_group() as beside:
            beside.start_soon(_heed_signals, service)
            beside.start_soon(tell_watchdog)
            ready()
            notify("READY=1")
            await service.serve()
            beside.cancel_scope.cancel()
        if service.lost is not None:
            _end_by_force()
            raise service.lost


def _end_by_force() -> None:
    """Exit if closing lost engines takes too long: only the end of the process frees its device
    memory, which the next host needs."""
    timer = threading.Timer(LAST_SECONDS, os._exit, [LOST])
    timer.daemon = True
    timer.start()


async def _close_all(models: Sequence[Model]) -> None:
    """Close all engines concurrently: what was accepted is answered, or given up if it does not
    end."""
    for model in models:
        await model.engine.aclose()


async def _heed_signals(service: Service) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            notify("STOPPING=1")
            service.stop()
