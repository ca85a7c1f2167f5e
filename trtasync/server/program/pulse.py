"""A front's signs of life: its event loop says every second that it turns; who started it hears."""

import os
from contextlib import suppress

import anyio
from anyio.abc import AnyByteReceiveStream

BEAT = b"\n"
"""Means nothing where lines are read."""

INTERVAL = 1.0
"""Seconds between two."""


async def beat(descriptor: int) -> None:
    """Say it, for ever, whether or not anybody hears.

    Args:
        descriptor: of a pipe. It is made non-blocking: who reads it may be stopped.
    """
    os.set_blocking(descriptor, False)
    while True:
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(descriptor, BEAT)
        await anyio.sleep(INTERVAL)


async def silence(beats: AnyByteReceiveStream, patience: float) -> None:
    """Return when no sign of life came for long enough.

    Args:
        beats: the other end of the pipe.
        patience: seconds. Only those count in which this process was awake itself: each wait for an
            interval, however long it took. So a machine that sleeps, or is overloaded, or a group
            of processes that is stopped, is no silence.
    """
    silent = 0.0
    while silent < patience:
        with anyio.move_on_after(INTERVAL) as waiting:
            await _hear(beats)
        silent = silent + INTERVAL if waiting.cancelled_caught else 0.0


async def _hear(beats: AnyByteReceiveStream) -> None:
    try:
        await beats.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        # it is ending; if it does not, that is silence, too
        await anyio.sleep_forever()
