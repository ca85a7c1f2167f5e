"""A process that hangs is ended: it may tell where it hangs first."""

import os
import signal

from trtasync.shared.spawning import is_readable

TELLING, ENDING = 5.0, 10.0
"""Seconds to tell its stacks, by SIGABRT, and to end by SIGKILL."""


def end_hanging(pid: int) -> None:
    """End another process, and wait until it has ended.

    Args:
        pid: of who has just been seen to hold a socket, so that it is nobody else's by now.

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
