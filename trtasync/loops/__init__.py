"""The engine's event loop: asyncio (also uvloop) and trio, through their cheapest primitives.

The engine needs seven things of a loop: a future, the time, the caller's effective deadline, a
callback that runs after those that are ready now, the same at a given time, the same from other
threads, and a callback for a readable socket. AnyIO offers all but the wake-up; its event costs 6
to 13 us per request, while a bare asyncio future costs 0.3 to 1, so both loops are used directly,
but only in this package.
"""

from trtasync.loops.base import EventLoop, Future, Watch
from trtasync.loops.choice import current_loop
from trtasync.loops.tasks import Starter, accompanied, bare_tasks
from trtasync.loops.threads import free_in_thread, in_thread

__all__ = [
    "EventLoop",
    "Future",
    "Starter",
    "Watch",
    "accompanied",
    "bare_tasks",
    "current_loop",
    "free_in_thread",
    "in_thread",
]
