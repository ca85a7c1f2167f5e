"""Ends a hanging process, which may first report where it hangs."""

import os
import select
import signal

OPENING = 10
"""How many times as long as later a process may be silent until it is ready: it imports libraries
and reads models, which may hold the interpreter's lock and so its event loop."""

TELLING, ENDING = 5.0, 10.0
"""Seconds to tell its stacks, by SIGABRT, and to end by SIGKILL."""


def end_hanging(pid: int) -> None:
    """End another process, and wait until it has ended.

    Args:
        pid: of a child that was not waited for yet, or of a process that was just seen to hold a
            socket, so the ID cannot have been reused.

    Raises:
        OSError: it cannot be ended: it is in another container or another user's, or it waits for
            a device in the system itself.
    """
    if pid <= 0:
        raise ProcessLookupError("it runs in another container")
    process = os.pidfd_open(pid)
    try:
        for number, seconds in (signal.SIGABRT, TELLING), (signal.SIGKILL, ENDING):
            signal.pidfd_send_signal(process, number)
            if is_readable(process, seconds):
                return
    finally:
        os.close(process)
    raise TimeoutError(f"{ENDING:g} s after SIGKILL it is still there")


def is_readable(descriptor: int, seconds: float) -> bool:
    """Wait at most this long; any descriptor will do, where `select` is limited to 1024."""
    looking = select.poll()
    looking.register(descriptor, select.POLLIN)
    return bool(looking.poll(seconds * 1000))
