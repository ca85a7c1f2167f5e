"""A caller's deadline on its way to a replica."""

import time
from pathlib import Path
from typing import NamedTuple

import anyio


def _boot() -> str:
    """What tells this run of this machine from all others; "" where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return ""


BOOT: str = _boot()


class Deadline(NamedTuple):
    """When nobody waits any more, told without a clock that all machines would have to share.

    Attributes:
        seconds: that were left when it was sent: true anywhere, apart from the time it travels.
        until: by the monotonic clock, which all processes of a boot share.
        boot: of the machine whose clock that is.
    """

    seconds: float
    until: float
    boot: str

    @classmethod
    def of_caller(cls) -> "Deadline | None":
        """That of the scopes around the caller; None without any."""
        left = anyio.current_effective_deadline() - anyio.current_time()
        if left == float("inf"):
            return None
        return cls(left, time.monotonic() + left, BOOT)

    def left(self) -> float:
        """Seconds from now on; 0.0 when it has passed."""
        here = bool(BOOT) and self.boot == BOOT
        return max(0.0, self.until - time.monotonic() if here else self.seconds)
