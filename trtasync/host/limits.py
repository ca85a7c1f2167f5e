"""What a host grants its clients."""

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
    """Of one host.

    Attributes:
        sessions: clients at once.
        bytes_per_client: of memory that one of them may share.
        total_bytes: that all of them may share.
        greeting: seconds for a client to say who it is.
        linger: seconds for which it waits for another client; None: for ever.
        unsent: bytes that wait for a client from which on no more is read of it.
        last_words: seconds for which clients who do not read are waited for at the end.
        hang_timeout: seconds that a batch may take in any case (see `core.stalls`); inf for
            whatever it takes.
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
        """Seconds between two looks at who is late and who is left."""
        shortest = min(self.greeting, PACE if self.linger is None else self.linger)
        return min(PACE, max(LEAST_PACE, shortest / 4))


def default_limits(**given: Any) -> Limits:
    """Half of the memory that is free may be shared with clients, and each may share all of it.

    Args:
        given: fields of `Limits` that are said otherwise.
    """
    free = free_memory()
    most = WITHOUT_NUMBERS if free is None else free // 2
    total = given.pop("total_bytes", None) or most
    each = given.pop("bytes_per_client", None) or total
    return Limits(bytes_per_client=each, total_bytes=total, **given)
