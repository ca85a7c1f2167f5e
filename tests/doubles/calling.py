"""What the tests of the doubles call CUDA with."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from support.doubles import cuda_runtime
from support.doubles.kernels import view
from support.helpers import PATIENCE

CUDA: Any = cuda_runtime
THREAD_LOCAL = CUDA.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
TO_DEVICE = CUDA.cudaMemcpyKind.cudaMemcpyHostToDevice
TO_HOST = CUDA.cudaMemcpyKind.cudaMemcpyDeviceToHost


def ok(result: tuple[Any, ...]) -> Any:
    """The value of a call that must succeed."""
    code, *values = result
    assert code == CUDA.cudaError_t.cudaSuccess, code
    return values[0] if values else None


def name(result: tuple[Any, ...]) -> str:
    """What a call answered."""
    return str(result[0].name)


def pinned(size: int = 16) -> tuple[int, Any]:
    address = ok(CUDA.cudaHostAlloc(size, 0))
    return address, view(address, (size,), np.uint8)


def on_device(size: int = 16) -> tuple[int, Any]:
    address = ok(CUDA.cudaMalloc(size))
    return address, view(address, (size,), np.uint8)


def event(flags: int = 0) -> int:
    return int(ok(CUDA.cudaEventCreateWithFlags(flags)))


def in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
