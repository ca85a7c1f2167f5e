"""A double of `cuda.bindings.runtime`: the same functions, parameters, enums and return convention.

The enums and constants are the genuine ones (the package imports without a driver); the functions
act on `tests.doubles.world.current()`.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

from cuda.bindings import runtime as _genuine  # noqa: TID253 - the double of it

from tests.doubles.world import BYTES_PER_SECOND as _BYTES_PER_SECOND
from tests.doubles.world import COPY_SECONDS, Event, Refused, Stream, current

for _name in (
    "cudaError_t",
    "cudaMemcpyKind",
    "cudaStreamCaptureMode",
    "cudaStreamCaptureStatus",
    "cudaMemcpySrcAccessOrder",
    "cudaDriverEntryPointQueryResult",
    "cudaStreamNonBlocking",
    "cudaEventDefault",
    "cudaEventBlockingSync",
    "cudaEventDisableTiming",
    "cudaHostAllocDefault",
    "cudaHostAllocPortable",
):
    globals()[_name] = getattr(_genuine, _name)

_ERRORS = _genuine.cudaError_t
_SUCCESS = _ERRORS.cudaSuccess
_ASKING = {"cudaGetDeviceCount", "cudaDriverGetVersion", "cudaRuntimeGetVersion", "cudaSetDevice"}


class cudaMemcpyAttributes:  # noqa: N801 - the genuine name
    """What `cudaMemcpyBatchAsync` wants to know of its sources."""

    def __init__(self) -> None:
        self.srcAccessOrder = _genuine.cudaMemcpySrcAccessOrder.cudaMemcpySrcAccessOrderInvalid


def _call(function: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """Give a function the runtime's convention: (code,) or (code, value ...)."""
    name = function.__name__

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> tuple[Any, ...]:
        world = current()
        try:
            world.enter_call(name, name not in _ASKING)
            value = function(*arguments, **named)
        except Refused as refused:
            if refused.name != "cudaErrorNotReady":
                world.last_error = refused.name
            return getattr(_ERRORS, refused.name), *_empty(function)
        if value is None:
            return (_SUCCESS,)
        return (_SUCCESS, *value) if isinstance(value, tuple) else (_SUCCESS, value)

    return call


def _empty(function: Callable[..., Any]) -> tuple[None, ...]:
    """What stands beside an error code: None for every value that did not come."""
    return () if function.__annotations__.get("return") is None else (None,)


@_call
def cudaGetDeviceCount() -> int:  # noqa: N802
    world = current()
    if not world.driver:
        raise Refused("cudaErrorInsufficientDriver")
    if not world.devices:
        raise Refused("cudaErrorNoDevice")
    return world.devices


@_call
def cudaDriverGetVersion() -> int:  # noqa: N802
    return current().driver


@_call
def cudaRuntimeGetVersion() -> int:  # noqa: N802
    return 13000


@_call
def cudaSetDevice(device: int) -> None:  # noqa: N802
    if not 0 <= device < current().devices:
        raise Refused("cudaErrorInvalidDevice")
    current().device = device


class _Properties:
    name = b"Double GPU"
    major, minor = 9, 0


@_call
def cudaGetDeviceProperties(device: int) -> _Properties:  # noqa: N802
    return _Properties()


@_call
def cudaMemGetInfo() -> tuple[int, int]:  # noqa: N802
    total = 1 << 34
    return total - current().live_bytes(pinned=False), total


@_call
def cudaDeviceSynchronize() -> None:  # noqa: N802
    current().wait_all()


# -- memory --------------------------------------------------------------------------------------


@_call
def cudaHostAlloc(size: int, flags: int) -> int:  # noqa: N802
    return current().allocate(size, pinned=True)


@_call
def cudaFreeHost(ptr: int) -> None:  # noqa: N802
    current().free(ptr, pinned=True)


@_call
def cudaMalloc(size: int) -> int:  # noqa: N802
    return current().allocate(size, pinned=False)


@_call
def cudaFree(devPtr: int) -> None:  # noqa: N802, N803
    current().free(devPtr, pinned=False)


class _PointerAttributes:
    def __init__(self, device: int):
        self.device = device


@_call
def cudaPointerGetAttributes(ptr: int) -> _PointerAttributes:  # noqa: N802
    for block in list(current().allocations.values()):
        if block.address <= int(ptr) < block.address + block.size:
            return _PointerAttributes(block.device)
    raise Refused("cudaErrorInvalidValue")


def _enqueue_copy(target: int, source: int, size: int, stream: Stream) -> None:
    world = current()

    def copy() -> None:
        world.copy(target, source, size)
        stream.clock += COPY_SECONDS + size / _BYTES_PER_SECOND

    world.enqueue(stream, copy)


@_call
def cudaMemcpyAsync(dst: int, src: int, count: int, kind: Any, stream: Any) -> None:  # noqa: N802
    _enqueue_copy(int(dst), int(src), count, current().stream_of(stream))


@_call
def cudaMemcpyBatchAsync(  # noqa: N802
    dsts: Any,
    srcs: Any,
    sizes: Any,
    count: int,
    attrs: Any,
    attrsIdxs: Any,  # noqa: N803
    numAttrs: int,  # noqa: N803
    stream: Any,
) -> None:
    found = current().stream_of(stream)
    if found.recording is not None:
        found.spoiled = True
        raise Refused("cudaErrorStreamCaptureUnsupported")
    if not len(dsts) == len(srcs) == len(sizes) == count:
        raise Refused("cudaErrorInvalidValue")
    for target, source, size in zip(dsts, srcs, sizes, strict=True):
        _enqueue_copy(int(target), int(source), size, found)


@_call
def cudaMemsetAsync(devPtr: int, value: int, count: int, stream: Any) -> None:  # noqa: N802, N803
    import ctypes

    world, found = current(), current().stream_of(stream)

    def fill() -> None:
        world.check_range(int(devPtr), count, "a memset")
        ctypes.memset(int(devPtr), value, count)

    world.enqueue(found, fill)


# -- streams and events --------------------------------------------------------------------------


@_call
def cudaStreamCreateWithFlags(flags: int) -> int:  # noqa: N802
    return current().add_stream()


@_call
def cudaStreamDestroy(stream: Any) -> None:  # noqa: N802
    world = current()
    found = world.stream_of(stream)
    with world.condition:
        found.closed = True
        del world.streams[found.handle]
        world.condition.notify_all()


@_call
def cudaStreamSynchronize(stream: Any) -> None:  # noqa: N802
    found = current().stream_of(stream)
    _forbid_in_capture(found)
    current().wait_stream(found)


def _forbid_in_capture(stream: Stream) -> None:
    if stream.recording is not None:
        stream.spoiled = True
        raise Refused("cudaErrorStreamCaptureUnsupported")


@_call
def cudaStreamWaitEvent(stream: Any, event: Any, flags: int) -> None:  # noqa: N802
    world = current()
    found = world.event_of(event)
    version = found.recorded

    def wait() -> None:
        with world.condition:
            world.condition.wait_for(lambda: found.seen >= version)

    world.enqueue(world.stream_of(stream), wait)


@_call
def cudaEventCreateWithFlags(flags: int) -> int:  # noqa: N802
    world = current()
    timing = not flags & int(_genuine.cudaEventDisableTiming)
    event = Event(world.handle(), world.device, timing)
    world.events[event.handle] = event
    return event.handle


@_call
def cudaEventDestroy(event: Any) -> None:  # noqa: N802
    del current().events[current().event_of(event).handle]


@_call
def cudaEventRecord(event: Any, stream: Any) -> None:  # noqa: N802
    current().record(current().event_of(event), current().stream_of(stream))


@_call
def cudaEventQuery(event: Any) -> None:  # noqa: N802
    found = current().event_of(event)
    if found.seen < found.recorded:
        time.sleep(0)  # whoever polls lets the streams' threads have the GIL
        raise Refused("cudaErrorNotReady")


@_call
def cudaEventSynchronize(event: Any) -> None:  # noqa: N802
    current().wait_for(current().event_of(event))
    if current().broken:
        raise Refused(current().broken)


@_call
def cudaEventElapsedTime(start: Any, end: Any) -> float:  # noqa: N802
    first, last = current().event_of(start), current().event_of(end)
    if not (first.timing and last.timing):
        raise Refused("cudaErrorInvalidResourceHandle")
    if first.seen < first.recorded or last.seen < last.recorded:
        raise Refused("cudaErrorNotReady")
    return (last.at - first.at) * 1e3


# -- graphs --------------------------------------------------------------------------------------


@_call
def cudaStreamBeginCapture(stream: Any, mode: Any) -> None:  # noqa: N802
    found = current().stream_of(stream)
    if mode != _genuine.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal:
        current().violations.append("a capture that any thread's allocation would end")
    found.recording, found.spoiled = [], False


@_call
def cudaStreamEndCapture(stream: Any) -> int:  # noqa: N802
    world = current()
    found = world.stream_of(stream)
    operations, found.recording = found.recording, None
    if operations is None or found.spoiled:
        raise Refused("cudaErrorStreamCaptureInvalidated")
    handle = world.handle()
    world.graphs[handle] = operations
    return handle


@_call
def cudaGraphInstantiate(graph: Any, flags: int) -> int:  # noqa: N802
    world = current()
    handle = world.handle()
    world.executables[handle] = list(world.graphs[int(graph)])
    return handle


@_call
def cudaGraphUpload(graphExec: Any, stream: Any) -> None:  # noqa: N802, N803
    current().stream_of(stream)


@_call
def cudaGraphLaunch(graphExec: Any, stream: Any) -> None:  # noqa: N802, N803
    world = current()
    operations = world.executables.get(int(graphExec))
    if operations is None:
        world.violations.append("launch of a graph that was destroyed")
        raise Refused("cudaErrorInvalidResourceHandle")

    def replay() -> None:
        for operation in operations:
            operation()

    world.enqueue(world.stream_of(stream), replay)


@_call
def cudaGraphDestroy(graph: Any) -> None:  # noqa: N802
    del current().graphs[int(graph)]


@_call
def cudaGraphExecDestroy(graphExec: Any) -> None:  # noqa: N802, N803
    current().wait_all()
    del current().executables[int(graphExec)]


# -- errors --------------------------------------------------------------------------------------


def cudaGetLastError() -> tuple[Any, ...]:  # noqa: N802
    """The last error, which is forgotten unless it is sticky."""
    world = current()
    last = world.last_error
    world.last_error = world.broken or "cudaSuccess"
    return (getattr(_ERRORS, last),)


def cudaPeekAtLastError() -> tuple[Any, ...]:  # noqa: N802
    """The last error."""
    return (getattr(_ERRORS, current().last_error),)


def cudaGetErrorString(error: Any) -> tuple[Any, ...]:  # noqa: N802
    """Its name in words."""
    return _SUCCESS, f"the double says {error.name}".encode()


def cudaGetDriverEntryPointByVersion(  # noqa: N802
    symbol: bytes,
    cudaVersion: int,  # noqa: N803
    flags: int,
) -> tuple[Any, ...]:
    """There is no driver: the functions of the runtime have to serve."""
    missing = _genuine.cudaDriverEntryPointQueryResult.cudaDriverEntryPointSymbolNotFound
    return _SUCCESS, None, missing
