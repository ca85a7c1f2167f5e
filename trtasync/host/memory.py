"""The memory that clients share with the host: mapped, counted, and known to the device."""

import os
import threading
import weakref
from collections.abc import Callable

from trtasync.errors import QueueFull
from trtasync.host.limits import Limits
from trtasync.requests.signature import Array
from trtasync.shared.arena import map_sealed

Register = Callable[[Array], Array]
"""`Backend.register`."""


class Account:
    """Bytes that are mapped. A mapping counts until the last batch that reads it has ended."""

    def __init__(self, limit: int, name: str, above: "Account | None" = None):
        """Count from zero.

        Args:
            limit: bytes.
            name: of who may share so much.
            above: counts them too.
        """
        self._limit = limit
        self._name = name
        self._above = above
        # whichever thread lets go of the last view; the collector may come while it is held
        self._lock = threading.RLock()
        self.used: int = 0

    def draw(self, size: int) -> None:
        """Count bytes.

        Raises:
            QueueFull: they are too many.
        """
        with self._lock:
            if self.used + size > self._limit:
                raise QueueFull(
                    f"{self._name} may share {self._limit} bytes of memory with the engine "
                    f"process; {self.used} are shared, and {size} more were asked for: send less "
                    "at a time, or raise the limit there.",
                    limit=self._limit,
                )
            if self._above is not None:
                self._above.draw(size)
            self.used += size

    def give_back(self, size: int) -> None:
        """They are not mapped any more."""
        with self._lock:
            self.used -= size
            if self._above is not None:
                self._above.give_back(size)


class Books:
    """Of a host: what all clients share, and what each does."""

    def __init__(self, limits: Limits):
        """Nobody shares anything yet."""
        self._limits = limits
        self.all: Account = Account(limits.total_bytes, "all clients together")

    def open(self) -> Account:
        """For one client."""
        return Account(self._limits.bytes_per_client, "a client", self.all)


def map_memory(descriptor: int, size: int, account: Account, register: Register) -> Array:
    """Map a client's memory and make it known to the device. Closes the descriptor.

    It is unmapped, and counted no more, when the last view of it is gone.

    Raises:
        QueueFull: it is more than the client may share.
        ValueError: it is not what was announced, so the client is not to be trusted.
        OSError: there is no room.
        CudaError: the device does not take it.
    """
    try:
        account.draw(size)
        try:
            mapped = map_sealed(descriptor, size)
        except BaseException:
            account.give_back(size)
            raise
        weakref.finalize(mapped, account.give_back, size).atexit = False
        return register(mapped)
    finally:
        os.close(descriptor)
