"""A caller's deadline on its way to a replica."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio


def _clock() -> str:
    """What tells this machine's monotonic clock from all others; "" where nothing does.

    It starts anew with each boot, and may differ between namespaces of time.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/time')}"
    except OSError:
        return ""


CLOCK: str = _clock()


@dataclass(frozen=True, slots=True)
class Deadline:
    """When nobody waits any more, told without a clock that all machines would have to share.

    Where it arrives on another machine, the time that is left counts from then on.

    Attributes:
        until: by the monotonic clock of the process that this is in.
    """

    until: float

    @classmethod
    def of_caller(cls) -> "Deadline | None":
        """That of the scopes around the caller; None without any."""
        left = anyio.current_effective_deadline() - anyio.current_time()
        return None if left == float("inf") else cls(time.monotonic() + left)

    def left(self) -> float:
        """Seconds from now on; 0.0 when it has passed."""
        return max(0.0, self.until - time.monotonic())

    def __reduce__(self) -> tuple[Callable[..., "Deadline"], tuple[float, float, str]]:
        return arrived, (self.left(), self.until, CLOCK)


def arrived(seconds: float, until: float, clock: str) -> Deadline:
    """A deadline that was sent to this process.

    Args:
        seconds: that were left when it was sent.
        until: by the clock of who sent it.
        clock: which one that is.
    """
    here = time.monotonic() + seconds
    return Deadline(min(until, here) if CLOCK and clock == CLOCK else here)
