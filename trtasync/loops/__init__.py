"""The event loop under the engine: asyncio (uvloop too) and trio, by their cheapest primitives.

The engine needs seven things of a loop: a future, the time, the caller's effective deadline, a wake
that runs one callback after the callbacks that are ready now, the same at a set time, the same from
other threads, and a callback for a socket that can be read. AnyIO offers all but the wake; its
event costs 6 to 13 us a request where a bare asyncio future costs 0.3 to 1, so both loops are
spoken to directly, here only.
"""

from trtasync.loops.base import EventLoop, Future, Watch
from trtasync.loops.choice import current_loop
from trtasync.loops.tasks import Starter, bare_tasks
from trtasync.loops.threads import free_in_thread, in_thread

__all__ = [
    "EventLoop",
    "Future",
    "Starter",
    "Watch",
    "bare_tasks",
    "current_loop",
    "free_in_thread",
    "in_thread",
]
