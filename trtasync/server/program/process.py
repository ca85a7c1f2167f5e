"""The process of the program: it heeds signals, and tells the service manager that it is ready."""

import math
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack

import anyio
import msgspec
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
from trtasync.server.logs import log_as_json
from trtasync.server.program.doors import hold_port, is_loopback, open_doors
from trtasync.server.program.front import Ready, Started, answer
from trtasync.server.program.fronts import answer_by_several
from trtasync.server.program.settings import Offer, ServerSettings, Wanted

HOST, PORT = "127.0.0.1", 8000

Reread = Callable[[], Wanted]
"""Returns what is wanted now; raises InvalidInput if that makes no sense."""


def run(wanted: Wanted, reread: Reread, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; SIGHUP has what is wanted read again.

    Args:
        wanted: what is wanted at first.
        reread: reads it again.
        say: is called with a few lines once clients can come.

    Raises:
        TrtasyncError: it cannot be served.
        KeyboardInterrupt: Ctrl-C came before clients could, or a second signal ended it by force.
    """
    log_to_stderr()
    if wanted.server.log_format == "json":
        log_as_json()
    want_descriptors()
    anyio.run(_run, wanted, reread, say, **asyncio_options())


async def _run(wanted: Wanted, reread: Reread, say: Callable[[str], None]) -> None:
    failure: TrtasyncError | None = None
    send, orders = anyio.create_memory_object_stream[Offer](math.inf)
    with (
        anyio.open_signal_receiver(signal.SIGHUP) as reloads,
        anyio.CancelScope() as by_force,
        send,
        orders,
    ):
        async with anyio.create_task_group() as beside:

            async def ready(started: Started) -> None:
                await beside.start(_heed_end, wanted.server, send, by_force)
                beside.start_soon(tell_watchdog)
                say(f"process {os.getpid()} {started}")
                notify("READY=1")

            beside.start_soon(_heed_reloads, reloads, reread, wanted.server, send)
            try:
                await _serve(wanted, orders, ready)
            except TrtasyncError as error:
                failure = error  # raised as it is, not in an exception group
            beside.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if by_force.cancelled_caught:
        raise KeyboardInterrupt
    log.info("ended")


async def _serve(wanted: Wanted, orders: ObjectReceiveStream[Offer], ready: Ready) -> None:
    server = wanted.server
    workers = server.workers or 1
    name_process(f"trtasync serve: {', '.join(each.name for each in wanted.offer.models)}")
    with ExitStack() as closing:
        doors = open_doors(
            HOST if server.host is None else server.host,
            PORT if server.port is None else server.port,
            workers,
        )
        for door in doors:
            closing.enter_context(door)
        if server.token_file is None and not is_loopback(doors[0]):
            log.warning("other machines can reach this server, and it requires no token")
        if server.grpc_port is not None:
            held = closing.enter_context(hold_port(doors[0], server.grpc_port))
            shared = msgspec.structs.replace(server, grpc_port=held.getsockname()[1])
            wanted = Wanted(shared, wanted.offer)
        if workers == 1:
            await answer(wanted, doors[0], orders, ready, shared=False)
        else:
            await answer_by_several(wanted, doors, orders, ready)


async def _heed_reloads(
    signals: AsyncIterator[signal.Signals],
    reread: Reread,
    server: ServerSettings,
    send: ObjectSendStream[Offer],
) -> None:
    async for _ in signals:
        try:
            wanted = reread()
            if wanted.server != server:
                log.warning("changed settings of the server take effect only after a restart")
            await send.send(wanted.offer)
        except TrtasyncError as error:
            log.error("what was served before goes on: %s", error)
        except anyio.ClosedResourceError:
            return  # it is ending


async def _heed_end(
    server: ServerSettings,
    send: ObjectSendStream[Offer],
    by_force: anyio.CancelScope,
    *,
    task_status: TaskStatus[None],
) -> None:
    """Drain at the first signal; end by force at the second."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        is_ending = False
        async for each in signals:
            if is_ending:
                by_force.cancel()
            else:
                log.info(
                    "%s: draining, which takes at most %g s; a second signal ends at once",
                    each.name,
                    server.ending_seconds,
                )
            is_ending = True
            notify("STOPPING=1")
            await send.aclose()
