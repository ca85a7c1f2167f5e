"""Detects the running loop."""

import sys

from trtasync.loops.base import EventLoop


def current_loop() -> EventLoop:
    """Wrap the running loop."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        from trtasync.loops.on_trio import TrioLoop

        return TrioLoop()
    from trtasync.loops.on_asyncio import AsyncioLoop

    return AsyncioLoop()
