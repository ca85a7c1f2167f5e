"""Waiting for a point in time, precise enough for arrivals, without keeping a core busy.

Event loops sleep in whole milliseconds (`epoll_wait`), which would turn 10 000 arrivals a second
into bursts of ten. On Linux a timer descriptor wakes the loop within about 50 us, as a packet
would. Elsewhere the loop's own sleep is used, and its delay is part of every latency.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from types import TracebackType
from typing import Any, ClassVar, Self

import anyio
import anyio.lowlevel

SHORT = 50e-6
"""Waits shorter than this (seconds) only yield to other tasks, because arming a timer takes as
long."""

_NONBLOCK, _MONOTONIC = 0o4000, 1


class Pacer:
    """A context manager that owns a timer. Only one task at a time may call `until`."""

    clock: ClassVar[Callable[[], float]] = staticmethod(perf_counter)

    def __init__(self) -> None:
        self._timer = -1

    def __enter__(self) -> Self:
        self._timer = _open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer >= 0:
            anyio.notify_closing(self._timer)
            os.close(self._timer)
            self._timer = -1

    async def until(self, when: float) -> None:
        """Return when `clock` reaches `when`, but let other tasks run at least once."""
        await anyio.lowlevel.checkpoint()
        while (left := when - perf_counter()) > 0:
            if left < SHORT:
                await anyio.lowlevel.checkpoint()
            elif self._timer < 0:
                await anyio.sleep(left)
            else:
                _arm(self._timer, left)
                await anyio.wait_readable(self._timer)
                with suppress(BlockingIOError):
                    os.read(self._timer, 8)


class _Spec(ctypes.Structure):
    """`struct itimerspec`: the interval, then the time until the first expiry."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("is_", "in_", "seconds", "nanoseconds"))


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _open() -> int:
    """Open a timer descriptor; returns -1 if the system has none."""
    if not sys.platform.startswith("linux"):
        return -1
    try:
        return int(_libc().timerfd_create(_MONOTONIC, _NONBLOCK))
    except (AttributeError, OSError):
        return -1


def _arm(timer: int, seconds: float) -> None:
    nanoseconds = max(1, int(seconds * 1e9))
    spec = _Spec(0, 0, *divmod(nanoseconds, 10**9))
    if _settime(timer, 0, ctypes.byref(spec), None):
        raise OSError(ctypes.get_errno(), "timerfd_settime failed")


def _settime(*arguments: Any) -> int:
    return int(_libc().timerfd_settime(*arguments))
