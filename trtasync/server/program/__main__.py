"""`python -m trtasync.server.program`: a front as `fronts` starts it. For people there is `trtasync
serve`.

Its argument is the descriptor of its socket. The first line of stdin says what to serve, each
further one what to offer from then on; the end of stdin ends the front. To stdout goes one line,
once clients can come or it is clear that they cannot, and signs of life (`beats`).
"""

import math
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TextIO

import anyio
import msgspec
from anyio.abc import ObjectSendStream, TaskStatus

from trtasync.errors import TrtasyncError
from trtasync.host.beats import beat
from trtasync.host.daemon import asyncio_options, log_to_stderr, want_descriptors
from trtasync.host.starting import take_stdout, tell
from trtasync.server.logs import log_as_json
from trtasync.server.program.front import Started, answer
from trtasync.server.program.settings import Offer, Wanted
from trtasync.shared.refusals import describe

STDIN = 0


def main() -> int:
    """Be a front until the end; return the exit code."""
    log_to_stderr()
    want_descriptors()
    word = take_stdout()
    door = socket.socket(fileno=int(sys.argv[1]))
    door.set_inheritable(False)  # the process of an engine would keep it open
    with open(STDIN, "rb", buffering=0, closefd=False) as stdin:  # reads one line and no more
        wanted = msgspec.json.decode(stdin.readline(), type=Wanted)
    if wanted.server.log_format == "json":
        log_as_json()

    failures: list[TrtasyncError] = []
    anyio.run(_serve, wanted, door, word, failures, **asyncio_options())
    for failure in failures:
        tell(word, describe(failure))
    return len(failures)


async def _serve(
    wanted: Wanted, door: socket.socket, word: TextIO, failures: list[TrtasyncError]
) -> None:
    os.set_blocking(STDIN, False)
    send, orders = anyio.create_memory_object_stream[Offer](math.inf)
    is_ready = anyio.Event()
    pulse = os.dup(word.fileno())  # `tell` closes `word`
    async with orders, anyio.create_task_group() as beside:

        async def ready(started: Started) -> None:
            await beside.start(_heed_end, send)
            is_ready.set()
            tell(word, asdict(started))

        async def read() -> None:
            await _read_orders(send)
            if not is_ready.is_set():
                beside.cancel_scope.cancel()  # nobody waits for this front any more

        beside.start_soon(read)
        beside.start_soon(beat, pulse)
        try:
            await answer(wanted, door, orders, ready, shared=True)
        except TrtasyncError as error:
            failures.append(error)
        beside.cancel_scope.cancel()


async def _read_orders(send: ObjectSendStream[Offer]) -> None:
    """Pass orders on until stdin ends; drop them once nobody takes them."""
    rest = b""
    async with send:
        while True:
            await anyio.wait_readable(STDIN)
            more = os.read(STDIN, 64 << 10)
            if not more:
                return
            *lines, rest = (rest + more).split(b"\n")
            with suppress(anyio.ClosedResourceError):
                for line in lines:
                    await send.send(msgspec.json.decode(line, type=Offer))


async def _heed_end(send: ObjectSendStream[Offer], *, task_status: TaskStatus[None]) -> None:
    """End at SIGTERM, too: a service manager may send it to all processes of a service."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            await send.aclose()


if __name__ == "__main__":
    sys.exit(main())
