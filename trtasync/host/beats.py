"""Signs of life: an event loop says every second that it turns, to who started the process."""

import os
import select
from contextlib import suppress

import anyio

BEAT = b"\n"
"""Means nothing where lines are read."""

INTERVAL = 1.0
"""Seconds between two."""


async def beat(descriptor: int) -> None:
    """Say it until nobody can hear it any more, whether or not it is heard.

    Args:
        descriptor: of a pipe, for this alone: it is closed at the end. It stays blocking, as its
            copies do with it, which write words.
    """
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    with os.fdopen(descriptor, "wb", buffering=0) as pipe, suppress(BrokenPipeError):
        while True:
            if room.poll(0):  # who reads may be stopped
                pipe.write(BEAT)
            await anyio.sleep(INTERVAL)
