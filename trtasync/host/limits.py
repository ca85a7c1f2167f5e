"""The limits that a host imposes on its clients."""

import math
from dataclasses import dataclass
from typing import Any

from trtasync.system.free_memory import free_memory

LEAST_PACE, PACE = 0.02, 1.0
"""See `Limits.pace`."""

WITHOUT_NUMBERS = 4 << 30
"""Bytes of all clients together, on systems that do not tell how much memory is free."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one host.

    Attributes:
        sessions: concurrent clients.
        bytes_per_client: memory that one client may share.
        total_bytes: memory that all clients may share.
        greeting: seconds for a client to send its greeting.
        linger: seconds for which it waits for another client; None for forever.
        unsent: unsent bytes to a client at which no more is read from it.
        last_words: seconds at the end to wait for clients that do not read.
        hang_timeout: seconds that any batch may take (see `core.stalls`); inf for no limit.
    """

    bytes_per_client: int
    total_bytes: int
    sessions: int = 1024
    greeting: float = 5.0
    linger: float | None = None
    unsent: int = 1 << 20
    last_words: float = 5.0
    hang_timeout: float = math.inf

    @property
    def pace(self) -> float:
        """Seconds between checks of late and remaining clients."""
        shortest = min(self.greeting, PACE if self.linger is None else self.linger)
        return min(PACE, max(LEAST_PACE, shortest / 4))


def default_limits(**given: Any) -> Limits:
    """Half of the free memory may be shared with clients, and each may share all of it.

    Args:
        given: fields of `Limits` that override these.
    """
    free = free_memory()
    most = WITHOUT_NUMBERS if free is None else free // 2
    total = given.pop("total_bytes", None) or most
    each = given.pop("bytes_per_client", None) or total
    return Limits(bytes_per_client=each, total_bytes=total, **given)
