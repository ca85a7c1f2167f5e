"""Which loop is running."""

import sys
from collections.abc import Callable

from trtasync.loops.base import EventLoop


def current_loop(callback: Callable[[], None]) -> EventLoop:
    """The running loop, with `callback` on its bell."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        from trtasync.loops.on_trio import TrioLoop

        return TrioLoop(callback)
    from trtasync.loops.on_asyncio import AsyncioLoop

    return AsyncioLoop(callback)
