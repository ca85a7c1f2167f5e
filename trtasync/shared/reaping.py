"""Hosts that this process has started are reaped as soon as they have ended."""

import os
import select
import threading
from contextlib import suppress
from functools import cache

from trtasync.system.threads import NoThread, start_thread


class Reaper:
    """A thread that waits for all of them, for as long as there are any.

    It asks for these processes alone, by descriptors of their own: other children, and SIGCHLD, are
    whoever else's they are.
    """

    def __init__(self) -> None:
        """Wait for nobody."""
        self._lock = threading.Lock()
        self._children: set[int] = set()  # descriptors of them
        self._ended = select.epoll()
        self._thread: threading.Thread | None = None

    def adopt(self, pid: int) -> None:
        """Reap a child when it has ended: from now on its ID may be another process's.

        Where the system has no descriptor or thread for that, the child is left to the end of this
        process.
        """
        with self._lock, suppress(OSError, NoThread):
            descriptor = os.pidfd_open(pid)
            self._ended.register(descriptor, select.EPOLLIN)
            self._children.add(descriptor)
            if self._thread is None:
                self._thread = start_thread(self._reap, "trtasync reap")

    def _reap(self) -> None:
        while True:
            ended = self._ended.poll()
            with self._lock:
                for descriptor, _ in ended:
                    with suppress(ChildProcessError):  # somebody else has
                        os.waitid(os.P_PIDFD, descriptor, os.WEXITED)
                    self._ended.unregister(descriptor)  # a forked child may keep it open
                    os.close(descriptor)
                    self._children.remove(descriptor)
                if not self._children:
                    self._thread = None
                    return


@cache
def reaper() -> Reaper:
    """The one of this process: in a forked child the hosts are not its children, and the thread is
    not there."""
    return Reaper()


os.register_at_fork(after_in_child=reaper.cache_clear)
