"""The process that is started: what it is told by signals, and whom it tells that it is ready."""

import math
import os
import signal
from collections.abc import AsyncIterator, Callable

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream, TaskStatus

from trtasync.errors import TrtasyncError
from trtasync.host.daemon import (
    asyncio_options,
    log,
    log_to_stderr,
    name_process,
    tell_watchdog,
    want_descriptors,
)
from trtasync.host.notify import notify
from trtasync.server.program.doors import is_loopback, open_doors
from trtasync.server.program.front import Ready, Started, answer
from trtasync.server.program.fronts import answer_by_several
from trtasync.server.program.settings import Wanted

HOST, PORT = "127.0.0.1", 8000

Reread = Callable[[], Wanted]
"""What is wanted now; raises InvalidInput where that makes no sense."""


def run(wanted: Wanted, reread: Reread, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; SIGHUP has what is wanted read again.

    Args:
        wanted: at first.
        reread: reads it again.
        say: is told, in a few lines, when clients can come.

    Raises:
        TrtasyncError: it cannot be served.
        KeyboardInterrupt: Ctrl-C came before it was, or once more.
    """
    log_to_stderr()
    want_descriptors()
    anyio.run(_run, wanted, reread, say, **asyncio_options())


async def _run(wanted: Wanted, reread: Reread, say: Callable[[str], None]) -> None:
    failure: TrtasyncError | None = None
    with (
        anyio.open_signal_receiver(signal.SIGHUP) as reloads,
        anyio.CancelScope() as by_force,
    ):
        async with anyio.create_task_group() as beside:
            send, orders = anyio.create_memory_object_stream[Wanted](math.inf)

            async def ready(started: Started) -> None:
                await beside.start(_heed_end, send, by_force)
                beside.start_soon(tell_watchdog)
                say(f"process {os.getpid()} {started}")
                notify("READY=1")

            beside.start_soon(_heed_reloads, reloads, reread, send)
            try:
                await _serve(wanted, orders, ready)
            except TrtasyncError as error:
                failure = error  # as it is, and not as a group
            beside.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if by_force.cancelled_caught:
        raise KeyboardInterrupt


async def _serve(wanted: Wanted, orders: ObjectReceiveStream[Wanted], ready: Ready) -> None:
    server = wanted.server
    workers = server.workers or 1
    doors = open_doors(HOST if server.host is None else server.host, port_of(wanted), workers)
    name_process(f"trtasync serve: {', '.join(each.name for each in wanted.offer.models)}")
    if server.token_file is None and not is_loopback(doors[0]):
        log.warning("other machines can reach this server, and it asks nobody for a token")
    try:
        if workers == 1:
            await answer(wanted, doors[0], orders, ready, shared=False)
        else:
            await answer_by_several(wanted, doors, orders, ready)
    finally:
        for door in doors:
            door.close()


def port_of(wanted: Wanted) -> int:
    """That is listened at."""
    return PORT if wanted.server.port is None else wanted.server.port


async def _heed_reloads(
    signals: AsyncIterator[signal.Signals], reread: Reread, send: ObjectSendStream[Wanted]
) -> None:
    async for _ in signals:
        try:
            await send.send(reread())
        except TrtasyncError as error:
            log.error("what was served before goes on: %s", error)
        except anyio.ClosedResourceError:
            return  # it is ending


async def _heed_end(
    send: ObjectSendStream[Wanted],
    by_force: anyio.CancelScope,
    *,
    task_status: TaskStatus[None],
) -> None:
    """The first signal lets what was asked be answered; the second does not."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        is_ending = False
        async for _ in signals:
            if is_ending:
                by_force.cancel()
            is_ending = True
            notify("STOPPING=1")
            await send.aclose()
