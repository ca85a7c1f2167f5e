"""Threads of the library: daemons, and an error of the library if none can be started."""

import threading
from collections.abc import Callable

from trtasync.errors import TrtasyncError


class NoThread(TrtasyncError):
    """The system does not allow this process another thread, or has no memory for it."""


def start_thread(work: Callable[[], object], name: str) -> threading.Thread:
    """Start a daemon thread: an engine that was not closed must not block the interpreter's exit.

    Raises:
        NoThread: it cannot be started.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        raise NoThread(
            f"the thread '{name}' cannot be started ({error!r}): as many run as are allowed, or "
            "memory is short. Raise the limit (ulimit -u, pids.max), or end what is not needed."
        ) from error
    return thread
