"""Pinned host memory, device memory, and copies between them."""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from trtasync.runtimes.cuda.device import Device

ALIGNMENT = 256
"""Bytes to which TensorRT wants every device address aligned (NvInferRuntime.h)."""

BATCHED_FROM = 4
"""Copies: one batched call costs as much as about three single ones."""


def aligned(size: int) -> int:
    """`size` rounded up to the alignment, and never 0: TensorRT needs an address for everything."""
    return max(1, -(-size // ALIGNMENT)) * ALIGNMENT


class PinnedBuffer:
    """Page-locked host memory, zeroed: the GPU's copy engine reads and writes it directly.

    Attributes:
        address: of its first byte.
        size: bytes.
        array: all of it as uint8, without a copy; must not be used after `close`.
    """

    def __init__(self, device: Device, size: int):
        """Raises CudaError if that much memory cannot be locked."""
        self._device = device
        self.size: int = max(size, 1)
        # portable: pinned for every device of this process, not just the current one
        flags = device.runtime.cudaHostAllocPortable
        self.address: int = int(device.call(device.runtime.cudaHostAlloc, self.size, flags))
        raw: Any = (ctypes.c_uint8 * self.size).from_address(self.address)
        self.array: npt.NDArray[np.uint8] = np.frombuffer(raw, np.uint8)
        self.array[:] = 0

    def close(self) -> None:
        """Free it. Nothing may be in flight that uses it."""
        if self.address:
            self._device.free(self._device.runtime.cudaFreeHost, self.address)
            self.address = 0


class DeviceBuffer:
    """Device memory.

    Attributes:
        address: of its first byte, a multiple of 256.
        size: bytes.
    """

    def __init__(self, device: Device, size: int):
        """Raises CudaError if the device does not have that much memory."""
        self._device = device
        self.size: int = max(size, 1)
        self.address: int = int(device.call(device.runtime.cudaMalloc, self.size))

    def close(self) -> None:
        """Free it; waits for the device. Nothing may be enqueued later that uses it."""
        if self.address:
            self._device.free(self._device.runtime.cudaFree, self.address)
            self.address = 0


def copy_all(
    device: Device, targets: list[int], sources: list[int], sizes: list[int], stream: int
) -> None:
    """Enqueue several copies together; the driver finds out which memory each address is in.

    Uses one `cudaMemcpyBatchAsync` if that exists and there are enough copies for it to pay off,
    single copies otherwise. Never inside a capture, where the batched call is not allowed. No size
    may be 0.
    """
    batch = device.fast.copy_batch
    if batch is not None and len(targets) >= BATCHED_FROM:
        if code := batch(targets, sources, sizes, stream):
            device.check(code, "cudaMemcpyBatchAsync")
        return
    kind = device.runtime.cudaMemcpyKind.cudaMemcpyDefault
    for target, source, size in zip(targets, sources, sizes, strict=True):
        device.call(device.runtime.cudaMemcpyAsync, target, source, size, kind, stream)
