"""Threads of the library: daemons, and an error of ours where the system gives none."""

import threading
from collections.abc import Callable

from trtasync.errors import TrtasyncError


class NoThread(TrtasyncError):
    """The system gives this process no further thread, or no memory for one."""


def start_thread(work: Callable[[], object], name: str) -> threading.Thread:
    """Start a thread. A daemon: an engine that nobody closed must not keep the interpreter from
    leaving.

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
