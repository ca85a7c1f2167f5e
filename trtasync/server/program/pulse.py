"""A front's signs of life: every second its event loop sends one to the process that started it."""

import os
from contextlib import suppress

import anyio
from anyio.abc import AnyByteReceiveStream

BEAT = b"\n"
"""An empty line, which the reader of the first line skips."""

INTERVAL = 1.0
"""Seconds between two beats."""


async def beat(descriptor: int) -> None:
    """Send beats for ever, whether or not anybody hears them.

    Args:
        descriptor: of a pipe. It is made non-blocking: its reader may be stopped.
    """
    os.set_blocking(descriptor, False)
    while True:
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(descriptor, BEAT)
        await anyio.sleep(INTERVAL)


async def silence(beats: AnyByteReceiveStream, patience: float) -> None:
    """Return when no beat has come for long enough.

    Args:
        beats: the other end of the pipe.
        patience: seconds, of which each wait for an interval counts as one interval, however long
            it took. So only time in which this process was awake itself counts: a machine that
            sleeps or is overloaded, or a stopped process group, is no silence.
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
        # the front is ending; if it never does, that is silence, too
        await anyio.sleep_forever()
