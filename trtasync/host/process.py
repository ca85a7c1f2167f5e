"""The host as a process: models are opened, whoever waits is told, signals are heeded."""

import logging
import os
import resource
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial

import anyio

from trtasync.errors import InvalidInput
from trtasync.host.limits import Limits
from trtasync.host.logs import ClientLogs
from trtasync.host.models import Model
from trtasync.host.notify import notify, watchdog_seconds
from trtasync.host.places import StartLock
from trtasync.host.service import Service
from trtasync.opening.api import engine_of
from trtasync.opening.loading import EngineOptions

log: logging.Logger = logging.getLogger("trtasync")


LAST_SECONDS = 5.0
"""For closing what a lost device has left."""

LOST = 5
"""The exit code then."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a host is to be.

    Attributes:
        models: to be opened.
        socket: path of the socket to listen at.
        limits: what clients are granted.
        lock: path of the file that whoever starts hosts locks; None where nobody does.
    """

    models: Sequence[EngineOptions]
    socket: str
    limits: Limits
    lock: str | None = None


def run(wanted: Wanted, ready: Callable[[], None]) -> None:
    """Be a host until it ends.

    Args:
        wanted: what kind of.
        ready: called when clients may come.

    Raises:
        TrtasyncError: a model cannot be opened, or was lost.
    """
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s: %(message)s")
    log.setLevel(logging.INFO)
    _want_descriptors()
    options = {"use_uvloop": _has("uvloop")}
    anyio.run(_host, wanted, ready, backend="asyncio", backend_options=options)


async def _host(wanted: Wanted, ready: Callable[[], None]) -> None:
    logs = ClientLogs()
    log.addHandler(logs)  # what opening the models says is for who starts this
    async with AsyncExitStack() as open_models:
        models: dict[str, Model] = {}
        for options in wanted.models:
            engine = await open_models.enter_async_context(engine_of(options))
            if engine.name in models:
                raise InvalidInput(f"two models are called {engine.name!r}; rename a file.")
            models[engine.name] = Model(engine.name, engine)
        _name_process(models)
        drain = partial(_close_all, list(models.values()))
        lock = StartLock(wanted.lock)
        service = Service(list(models.values()), wanted.limits, lock, logs, drain)
        service.listen(wanted.socket)
        async with anyio.create_task_group() as beside:
            beside.start_soon(_heed_signals, service)
            beside.start_soon(_tell_watchdog)
            ready()
            notify("READY=1")
            await service.serve()
            beside.cancel_scope.cancel()
        if service.lost is not None:
            _end_by_force()
            raise service.lost


def _end_by_force() -> None:
    """Should closing what is lost take too long: only the end of the process gives its device
    memory back, which the next host needs."""
    timer = threading.Timer(LAST_SECONDS, os._exit, [LOST])
    timer.daemon = True
    timer.start()


async def _close_all(models: Sequence[Model]) -> None:
    """All that was accepted is answered, at once, or given up if it does not end."""
    for model in models:
        await model.engine.aclose()


async def _heed_signals(service: Service) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            notify("STOPPING=1")
            service.stop()


async def _tell_watchdog() -> None:
    """From the event loop: where that stands still, the manager shall see it."""
    seconds = watchdog_seconds()
    while seconds is not None:
        notify("WATCHDOG=1")
        await anyio.sleep(seconds / 2)


def _want_descriptors() -> None:
    """One for each client: as many as the system lets this user have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _name_process(models: dict[str, Model]) -> None:
    """So that `ps` and `top` tell it from its clients."""
    with suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(f"trtasync host: {', '.join(models)}")


def _has(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True
