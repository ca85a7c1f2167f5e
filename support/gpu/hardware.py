"""The GPU without the library under test: checked CUDA calls, plain buffers, memory in use.

Tests and yardsticks must not rely on `trtasync.runtimes.cuda`, or they would share its mistakes.
Everything that only GPU machines have is imported on demand, as `Any`.
"""

import ctypes
import importlib
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, wraps
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
ALIGNMENT = 256


@cache
def load(name: str) -> Any:
    """Import a module that only some machines have, ignoring its warnings.

    Raises:
        ImportError: this machine does not have it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def runtime() -> Any:
    """`cuda.bindings.runtime`."""
    return load("cuda.bindings.runtime")


def driver() -> Any:
    """`cuda.bindings.driver`."""
    return load("cuda.bindings.driver")


def why_not() -> str:
    """Why nothing can run on a GPU here; "" if it can."""
    try:
        code, count = runtime().cudaGetDeviceCount()
    except ImportError as error:
        return f"cuda-python is not installed ({error})"
    except Exception as error:  # a missing driver may raise anything
        return f"no CUDA driver ({error})"
    if int(code) or not count:
        return f"no GPU (cudaGetDeviceCount: {code}, {count})"
    return ""


def missing(*modules: str) -> str:
    """Why these modules cannot all be used here; "" if they can."""
    for name in modules:
        try:
            load(name)
        except Exception as error:  # torch without its libraries raises OSError
            return f"{name} cannot be imported ({error})"
    return ""


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of `cuda.bindings` and return its results besides the code.

    Raises:
        RuntimeError: the code is not success.
    """
    result = function(*arguments)
    if int(result[0]):
        name = getattr(function, "__name__", function)
        raise RuntimeError(f"{name}: {result[0]!r}")
    return result[1] if len(result) == 2 else result[1:]


def enter(gpu: int = 0) -> None:
    """Make a GPU's primary context current in this thread."""
    call(runtime().cudaSetDevice, gpu)
    call(runtime().cudaFree, 0)


@contextmanager
def on_gpu(gpu: int) -> Iterator[None]:
    """The same, for the duration of the block."""
    before = int(call(runtime().cudaGetDevice))
    enter(gpu)
    try:
        yield
    finally:
        call(runtime().cudaSetDevice, before)


def gpus() -> int:
    """The number of GPUs; 0 without a driver."""
    return 0 if why_not() else int(runtime().cudaGetDeviceCount()[1])


def gpu_of(address: int) -> int:
    """The GPU in whose memory an address is."""
    found = call(runtime().cudaPointerGetAttributes, address)
    if int(found.type) != int(runtime().cudaMemoryType.cudaMemoryTypeDevice):
        raise RuntimeError(f"{address:#x} is no device memory ({found.type!r})")
    return int(found.device)


def synchronize() -> None:
    """Wait for everything on the device."""
    call(runtime().cudaDeviceSynchronize)


def free_bytes() -> int:
    """Free device memory in bytes."""
    return int(call(runtime().cudaMemGetInfo)[0])


def resident_bytes() -> int:
    """Host memory of this process, from /proc."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


def new_stream() -> int:
    """A non-blocking stream's handle."""
    return int(call(runtime().cudaStreamCreateWithFlags, runtime().cudaStreamNonBlocking))


def new_event() -> int:
    """An event's handle; waiting for it sleeps."""
    flags = int(runtime().cudaEventBlockingSync) | int(runtime().cudaEventDisableTiming)
    return int(call(runtime().cudaEventCreateWithFlags, flags))


def malloc(size: int) -> int:
    """Device memory; never freed unless the caller does."""
    return int(call(runtime().cudaMalloc, size))


def put(array: Array) -> int:
    """A copy of an array in device memory of its own."""
    address = malloc(max(1, array.nbytes))
    source = np.ascontiguousarray(array)
    kind = runtime().cudaMemcpyKind.cudaMemcpyHostToDevice
    call(runtime().cudaMemcpy, address, source.ctypes.data, source.nbytes, kind)
    return address


def pinned(shape: tuple[int, ...], dtype: Any) -> Array:
    """A zeroed array in page-locked memory. `release` frees it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    address = int(call(runtime().cudaHostAlloc, size, runtime().cudaHostAllocDefault))
    raw = (ctypes.c_uint8 * size).from_address(address)
    array: Array = np.frombuffer(raw, np.uint8).view(dtype).reshape(shape)
    array[:] = 0
    return array


def release(array: Array) -> None:
    """Free what `pinned` returned."""
    call(runtime().cudaFreeHost, array.ctypes.data)


def capture(stream: int, work: Callable[[], None]) -> int:
    """An executable graph of what `work` enqueues on the stream."""
    module = runtime()
    call(
        module.cudaStreamBeginCapture,
        stream,
        module.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal,
    )
    try:
        work()
    finally:
        code, graph = module.cudaStreamEndCapture(stream)
    if int(code):
        raise RuntimeError(f"cudaStreamEndCapture: {code!r}")
    handle = int(call(module.cudaGraphInstantiate, graph, 0))
    call(module.cudaGraphDestroy, graph)
    call(module.cudaGraphUpload, handle, stream)
    return handle


@dataclass
class Ledger:
    """What was allocated and not freed.

    Attributes:
        blocks: address -> bytes, per kind ("device" or "pinned").
        peak: the most bytes held at once, per kind.
    """

    blocks: dict[str, dict[int, int]] = field(default_factory=lambda: {"device": {}, "pinned": {}})
    peak: dict[str, int] = field(default_factory=lambda: {"device": 0, "pinned": 0})

    def held(self, kind: str) -> int:
        """Bytes of a kind that are allocated now."""
        return sum(self.blocks[kind].values())

    def add(self, kind: str, address: int, size: int) -> None:
        """Something was allocated."""
        self.blocks[kind][address] = size
        self.peak[kind] = max(self.peak[kind], self.held(kind))

    def drop(self, kind: str, address: int) -> None:
        """Something was freed."""
        self.blocks[kind].pop(address, None)


@contextmanager
def watched() -> Iterator[Ledger]:
    """Count every allocation that goes through `cuda.bindings.runtime` meanwhile, byte by byte."""
    module, ledger = runtime(), Ledger()
    wrappers = {
        "cudaMalloc": _allocating(module.cudaMalloc, ledger, "device"),
        "cudaHostAlloc": _allocating(module.cudaHostAlloc, ledger, "pinned"),
        "cudaMallocHost": _allocating(module.cudaMallocHost, ledger, "pinned"),
        "cudaFree": _freeing(module.cudaFree, ledger, "device"),
        "cudaFreeHost": _freeing(module.cudaFreeHost, ledger, "pinned"),
    }
    genuine = {name: getattr(module, name) for name in wrappers}
    for name, wrapper in wrappers.items():
        setattr(module, name, wrapper)
    try:
        yield ledger
    finally:
        for name, function in genuine.items():
            setattr(module, name, function)


def _allocating(function: Any, ledger: Ledger, kind: str) -> Any:
    @wraps(function)
    def wrapper(size: int, *more: Any) -> Any:
        result = function(size, *more)
        if not int(result[0]):
            ledger.add(kind, int(result[1]), int(size))
        return result

    return wrapper


def _freeing(function: Any, ledger: Ledger, kind: str) -> Any:
    @wraps(function)
    def wrapper(address: Any) -> Any:
        result = function(address)
        if not int(result[0]):
            ledger.drop(kind, int(address))
        return result

    return wrapper


def describe() -> dict[str, Any]:
    """The GPU's name, the driver's and CUDA's version, for results."""
    module = runtime()
    name = call(module.cudaGetDeviceProperties, 0).name
    version = Path("/proc/driver/nvidia/version")
    return {
        "gpu": name.decode().rstrip("\0") if isinstance(name, bytes) else str(name),
        "driver": version.read_text().splitlines()[0] if version.exists() else None,
        "gpus": gpus(),
        "driver_cuda": int(call(module.cudaDriverGetVersion)),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
