"""The memory that clients share with the host: mapped, counted, and known to the device."""

import ctypes
import mmap
import os
import threading
import weakref
from collections.abc import Callable

from trtasync.errors import QueueFull
from trtasync.host.limits import Limits
from trtasync.model.arrays import Array
from trtasync.shared.arena import map_sealed

Register = Callable[[Array], Array]
"""`Backend.register`."""


MOST_MAPS, MAPS_PER_CLIENT = 32_768, 1024
"""Pieces of memory of all clients, and of one. The system gives a process 65 530 by default
(vm.max_map_count), and the host needs some for itself."""


class Account:
    """Mapped bytes. A mapping counts until the last batch that reads it has ended."""

    def __init__(self, limit: int, most_maps: int, name: str, above: "Account | None" = None):
        """Count from zero.

        Args:
            limit: bytes.
            most_maps: the most memory regions.
            name: who may share that much.
            above: an account that counts them too.
        """
        self._most_maps = most_maps
        self._maps = 0
        self._limit = limit
        self._name = name
        self._above = above
        # any thread may drop the last view, and the garbage collector may run while it is held
        self._lock = threading.RLock()
        self.used: int = 0

    def draw(self, size: int) -> None:
        """Count bytes of one mapping.

        Raises:
            QueueFull: there are too many.
        """
        with self._lock:
            if self.used + size > self._limit:
                raise QueueFull(
                    f"{self._name} may share {self._limit} bytes of memory with the engine "
                    f"process; {self.used} are shared, and {size} more were requested: send less "
                    "at a time, or raise the limit there.",
                    limit=self._limit,
                )
            if self._maps >= self._most_maps:
                raise QueueFull(
                    f"{self._name} may share {self._most_maps} pieces of memory with the engine "
                    "process; share larger ones.",
                    limit=self._most_maps,
                )
            if self._above is not None:
                self._above.draw(size)
            self.used += size
            self._maps += 1

    def give_back(self, size: int) -> None:
        """They are no longer mapped."""
        with self._lock:
            self.used -= size
            self._maps -= 1
            if self._above is not None:
                self._above.give_back(size)


class Books:
    """The accounts of a host: what all clients share, and what each of them shares."""

    def __init__(self, limits: Limits):
        """Start with nothing shared."""
        self._limits = limits
        self.all: Account = Account(limits.total_bytes, MOST_MAPS, "all clients together")

    def open(self) -> Account:
        """Open an account for one client."""
        most = self._limits.bytes_per_client
        return Account(most, MAPS_PER_CLIENT, "a client", self.all)


def map_memory(descriptor: int, size: int, account: Account, register: Register) -> Array:
    """Map a client's memory and make it known to the device. Closes the descriptor.

    It is unmapped, and no longer counted, when the last view of it is gone.

    Raises:
        QueueFull: it is more than the client may share.
        ValueError: it is not what was announced, so the client cannot be trusted.
        OSError: there is no room.
        CudaError: the device does not accept it.
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


def unmap(memories: list[Array]) -> None:
    """Release memory that nobody uses any more, and empty the list. Not on the loop: for 100 MiB
    the device and the system take tens of milliseconds, during which nobody would be answered."""
    advise = ctypes.CDLL(None).madvise  # without the GIL, which `munmap` of the last view keeps
    while memories:
        memory = memories.pop()
        address, _ = memory.__array_interface__["data"]
        advise(ctypes.c_void_p(address), ctypes.c_size_t(memory.nbytes), mmap.MADV_DONTNEED)
