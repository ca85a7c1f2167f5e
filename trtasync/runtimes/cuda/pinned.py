"""Numpy arrays in pinned memory that the library hands out or is lent, recognized in requests."""

import ctypes
import logging
import math
import sys
import threading
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from trtasync.model.arrays import Array
from trtasync.runtimes.cuda.arrays import LentInput
from trtasync.runtimes.cuda.device import Device
from trtasync.runtimes.cuda.memory import PinnedBuffer, aligned

log: logging.Logger = logging.getLogger("trtasync")


class Block:
    """Owns a pinned buffer for as long as any array on it lives: the caller's, or a batch's."""

    def __init__(self, pool: "PinnedPool", buffer: PinnedBuffer):
        self._pool = pool
        self._buffer = buffer
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "shape": (buffer.size,),
            "typestr": "|u1",
            "data": (buffer.address, False),
        }

    def __del__(self) -> None:
        self._pool.give_back(self._buffer)


class Registered:
    """Page-locks foreign memory for as long as any array on it lives."""

    def __init__(self, device: Device, memory: Array):
        """Lock it, for all devices of this process.

        Args:
            device: any of the engine's.
            memory: bytes; whole pages that nobody else locks.

        Raises:
            CudaError: that much memory cannot be locked, or it is locked already.
        """
        device.enter_again()
        runtime, self._address = device.runtime, _address(memory)
        device.call(
            runtime.cudaHostRegister, self._address, memory.nbytes, runtime.cudaHostRegisterPortable
        )
        self._device = device
        self._memory = memory
        self.__array_interface__: dict[str, Any] = memory.__array_interface__

    def __del__(self) -> None:
        if hasattr(self, "_device") and not sys.is_finalizing():
            self._device.enter_to_free()
            self._device.free(self._device.runtime.cudaHostUnregister, self._address)


_OWNERS = (Block, Registered)


class PinnedPool:
    """Pinned arrays for requests. Thread-safe.

    Memory comes back when the last view of it is gone, and is kept for the next array of its size:
    the pool grows to what was in use at once, and no further.
    """

    def __init__(self, device: Device):
        """Allocate nothing yet.

        Args:
            device: any of the engine's: the memory is pinned for all of them.
        """
        self._device = device
        self._free: dict[int, list[PinnedBuffer]] = {}
        self._out = 0
        self._closed = False
        self._lock = threading.RLock()  # the collector may give memory back while it is held

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an uninitialized array.

        Raises:
            CudaError: that much memory cannot be locked.
        """
        size = aligned(math.prod(shape) * dtype.itemsize)
        with self._lock:
            spare = self._free.get(size)
            buffer = spare.pop() if spare else None
        if buffer is None:
            self._device.enter_again()
            buffer = PinnedBuffer(self._device, size)
        with self._lock:
            self._out += 1
        raw: npt.NDArray[np.uint8] = np.asarray(Block(self, buffer))
        return raw[: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def give_back(self, buffer: PinnedBuffer) -> None:
        """Called by `Block`."""
        with self._lock:
            self._out -= 1
            if not self._closed:
                self._free.setdefault(buffer.size, []).append(buffer)
                return
        if not sys.is_finalizing():  # the driver may be gone, and the memory is freed anyway
            self._device.enter_to_free()
            buffer.close()

    def close(self) -> None:
        """Free what nobody holds; the rest stays valid, and is freed when it is released."""
        with self._lock:
            self._closed = True
            spare = [buffer for buffers in self._free.values() for buffer in buffers]
            self._free.clear()
            out = self._out
        for buffer in spare:
            buffer.close()
        if out:
            log.info("%d array(s) from empty_input() outlive their engine", out)


def as_lent(array: Array) -> LentInput | None:
    """Return the array as one that the copy engine reads in place, if its memory is a pool's or
    registered."""
    owner: Any = array.base
    if type(owner) is np.ndarray:  # numpy's base is the first array on the memory, not its owner
        owner = owner.base
    if type(owner) not in _OWNERS or not array.flags.c_contiguous:
        return None
    return LentInput(_address(array), array.shape, array.dtype, None, array)


def _address(array: Array) -> int:
    """The address of the first byte. The buffer protocol takes a quarter of the time (0.3 us)."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(cast(Any, array)))
    except (TypeError, ValueError):  # read-only; no element; a dtype that exports no buffer
        return int(array.__array_interface__["data"][0])
