"""Signs of life: an event loop says every second that it turns, to who started the process."""

import os
from contextlib import suppress

import anyio

BEAT = b"\n"
"""Means nothing where lines are read."""

INTERVAL = 1.0
"""Seconds between two."""


async def beat(descriptor: int) -> None:
    """Say it until nobody can hear it any more, whether or not it is heard.

    Args:
        descriptor: of a pipe, for this alone: it is closed at the end. It is made non-blocking: who
            reads it may be stopped.
    """
    os.set_blocking(descriptor, False)
    with os.fdopen(descriptor, "wb", buffering=0) as pipe, suppress(BrokenPipeError):
        while True:
            pipe.write(BEAT)  # does nothing if the pipe is full
            await anyio.sleep(INTERVAL)
