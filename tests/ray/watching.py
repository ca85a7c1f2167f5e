"""Waiting for what a replica does, without sleeping for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from trtasync import Statistics

PATIENCE = 20.0


@asynccontextmanager
async def held(handle: Any) -> AsyncIterator[None]:
    """No batch of a scripted replica ends within."""
    await handle.hold.remote()
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):  # or the replica could not end
            await handle.let.remote()


async def reached(handle: Any, holds: Callable[[Statistics], bool]) -> Statistics:
    """The engine's counts, once this holds of them."""
    patience = anyio.current_time() + PATIENCE
    while True:  # what is waited for happens in another process
        counts: Statistics = await handle.statistics.remote()
        if holds(counts):
            return counts
        assert anyio.current_time() < patience, counts
        await anyio.sleep(0.01)
