"""Arrays in the memory of a doubled GPU, as other libraries would bring them."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from support.doubles import Installed
from support.doubles import cuda_runtime as cuda
from support.doubles.kernels import view
from support.helpers import PATIENCE, Array
from trtasync.runtimes.cuda import dlpack

CUDA: Any = cuda


def called(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of the double's runtime, which must succeed."""
    code, *values = function(*arguments)
    assert int(code) == 0
    return values[0] if values else None


class Producer:
    """A stream of another library, whose work can be held back.

    Attributes:
        handle: of the stream.
    """

    def __init__(self, gpu: Installed, device: int = 0):
        called(cuda.cudaSetDevice, device)
        self._gpu = gpu
        self._device = device
        self._gate = threading.Event()
        self.handle = called(cuda.cudaStreamCreateWithFlags, 1)
        self._event = called(cuda.cudaEventCreateWithFlags, 2)

    def write_late(self, array: "OnDevice", values: Array) -> None:
        """Enqueue a write that happens after `go`."""

        def work() -> None:
            assert self._gate.wait(PATIENCE)
            array.memory[...] = values

        self._gpu.world.enqueue(self._gpu.world.streams[self.handle], work)

    def let_wait(self, stream: int) -> None:
        """What is enqueued on `stream` from now on runs after everything here."""
        called(cuda.cudaSetDevice, self._device)
        called(cuda.cudaEventRecord, self._event, self.handle)
        called(cuda.cudaStreamWaitEvent, stream, self._event, 0)

    def go(self) -> None:
        """Let the work run."""
        self._gate.set()

    def close(self) -> None:
        """Give everything back."""
        self.go()
        called(cuda.cudaSetDevice, self._device)
        called(cuda.cudaStreamSynchronize, self.handle)
        called(cuda.cudaEventDestroy, self._event)
        called(cuda.cudaStreamDestroy, self.handle)


class OnDevice:
    """Device memory; see `Dlpack` and `Interface` for the ways to hand it over.

    Attributes:
        memory: a view of it.
    """

    def __init__(self, values: Array, *, device: int = 0, producer: Producer | None = None):
        called(cuda.cudaSetDevice, device)
        self.address: int = called(cuda.cudaMalloc, max(1, values.nbytes))
        self.memory: Array = view(self.address, values.shape, values.dtype)
        self.memory[...] = values
        self.dtype = values.dtype
        self.device = device
        self.producer = producer

    def close(self) -> None:
        """Free it."""
        called(cuda.cudaSetDevice, self.device)
        called(cuda.cudaFree, self.address)


class Dlpack(OnDevice):
    """As torch does it: the consumer's stream is told to wait."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CUDA, self.device

    def __dlpack__(self, *, stream: int) -> Any:
        if self.producer is not None:
            self.producer.let_wait(stream)
        return dlpack.export(self.address, self.memory.shape, self.dtype, self.device, self)


class Interface(OnDevice):
    """As Numba does it: the producer's stream is named.

    Attributes:
        strides: in bytes, as it says.
    """

    strides: tuple[int, ...] | None = None

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "shape": self.memory.shape,
            "typestr": np.dtype(self.dtype).str,
            "data": (self.address, False),
            "strides": self.strides,
            "stream": None if self.producer is None else self.producer.handle,
        }


KINDS = {"dlpack": Dlpack, "interface": Interface}
