"""Pinned host memory, device memory, and copies between them."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trtasync.cuda.device import Device

ALIGNMENT = 256
"""Bytes to which TensorRT wants every device address aligned (NvInferRuntime.h)."""


def aligned(size: int) -> int:
    """`size` rounded up to the alignment, and never 0: TensorRT wants an address for everything."""
    return max(1, -(-size // ALIGNMENT)) * ALIGNMENT


class PinnedBuffer:
    """Page-locked host memory, zeroed: the GPU's copy engine reads and writes it by itself.

    Attributes:
        address: of its first byte.
        size: bytes.
        array: the whole of it as uint8, without a copy; not to be touched after `close`.
    """

    def __init__(self, device: Device, size: int):
        """Raises CudaError when there is not so much memory to lock."""
        self._device = device
        self.size = max(size, 1)
        # portable: pinned for every device of this process, not only for the current one
        flags = device.runtime.cudaHostAllocPortable
        self.address = int(device.call(device.runtime.cudaHostAlloc, self.size, flags))
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
        """Raises CudaError when the device has not so much memory."""
        self._device = device
        self.size = max(size, 1)
        self.address = int(device.call(device.runtime.cudaMalloc, self.size))

    def close(self) -> None:
        """Free it; waits for the device. Nothing may be enqueued later that uses it."""
        if self.address:
            self._device.free(self._device.runtime.cudaFree, self.address)
            self.address = 0


class CopyList:
    """Several copies that are enqueued together, prepared once.

    One `cudaMemcpyBatchAsync` where the runtime has it and there are enough of them to gain by it,
    single copies otherwise. Never inside a capture, where the batched call is not allowed.
    """

    BATCHED_FROM = 4
    """One batched call costs as much as about three single ones."""

    def __init__(self, device: Device, copies: Sequence[tuple[int, int, int]]):
        """copies: (target, source, bytes); the driver finds out on which side each lies."""
        self._device = device
        self._copies = [copy for copy in copies if copy[2]]
        batch = getattr(device.runtime, "cudaMemcpyBatchAsync", None)
        self._batch = batch if len(self._copies) >= self.BATCHED_FROM else None
        if self._batch is not None:
            self._arguments = _batch_arguments(device.runtime, self._copies)

    def enqueue(self, stream: int) -> None:
        """Put the copies on a stream."""
        device = self._device
        if self._batch is not None:
            device.call(self._batch, *self._arguments, stream)
            return
        kind = device.runtime.cudaMemcpyKind.cudaMemcpyDefault
        for target, source, size in self._copies:
            device.call(device.runtime.cudaMemcpyAsync, target, source, size, kind, stream)


def _batch_arguments(module: Any, copies: Sequence[tuple[int, int, int]]) -> tuple[Any, ...]:
    targets, sources, sizes = (list(column) for column in zip(*copies, strict=True))
    attributes = module.cudaMemcpyAttributes()
    # read in stream order: the sources may be written by what was enqueued before
    attributes.srcAccessOrder = module.cudaMemcpySrcAccessOrder.cudaMemcpySrcAccessOrderStream
    return targets, sources, sizes, len(copies), [attributes], [0], 1
