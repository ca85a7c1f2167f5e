"""The CUDA double's functions for memory and copies."""
# ruff: noqa: N802, N803 - the genuine names

from typing import Any

from cuda.bindings import runtime as genuine  # noqa: TID253 - the double of it

from support.doubles.cuda_calls import call
from support.doubles.streams import Refused, Stream
from support.doubles.world import BYTES_PER_SECOND, COPY_SECONDS, current


class cudaMemcpyAttributes:  # noqa: N801 - the genuine name
    """What `cudaMemcpyBatchAsync` wants to know of its sources."""

    def __init__(self) -> None:
        self.srcAccessOrder = genuine.cudaMemcpySrcAccessOrder.cudaMemcpySrcAccessOrderInvalid
        self.srcLocHint: Any = None
        self.dstLocHint: Any = None
        self.flags = 0


@call
def cudaMemGetInfo() -> tuple[int, int]:
    world = current()
    return world.free_bytes(world.device), world.capacity


def _allocate(size: int, pinned: bool) -> int:
    world = current()
    world.forbid_while_capturing()
    return world.allocate(size, pinned, world.device) if size else 0


def _free(address: Any, pinned: bool) -> None:
    world = current()
    world.forbid_while_capturing()
    if int(address):  # as with free(): a null pointer is no error
        world.free(int(address), pinned)


@call
def cudaHostAlloc(size: int, flags: int) -> int:
    return _allocate(size, pinned=True)


@call
def cudaFreeHost(ptr: int) -> None:
    _free(ptr, pinned=True)


@call
def cudaHostRegister(ptr: int, size: int, flags: int) -> None:
    world = current()
    world.forbid_while_capturing()
    world.register(int(ptr), size, world.device)


@call
def cudaHostUnregister(ptr: int) -> None:
    world = current()
    world.forbid_while_capturing()
    world.unregister(int(ptr))


@call
def cudaMalloc(size: int) -> int:
    return _allocate(size, pinned=False)


@call
def cudaFree(devPtr: int) -> None:
    _free(devPtr, pinned=False)


class _Attributes:
    """Of a pointer."""

    def __init__(self, kind: Any, device: int, onDevice: int, onHost: int):
        self.type, self.device = kind, device
        self.devicePointer, self.hostPointer = onDevice, onHost


@call
def cudaPointerGetAttributes(ptr: Any) -> _Attributes:
    address, kinds = int(ptr), genuine.cudaMemoryType
    block = current().find(address, 1)
    if block is None:
        return _Attributes(kinds.cudaMemoryTypeUnregistered, -2, 0, address)
    if block.pinned:
        return _Attributes(kinds.cudaMemoryTypeHost, block.device, address, address)
    return _Attributes(kinds.cudaMemoryTypeDevice, block.device, address, 0)


def _enqueue_copy(target: int, source: int, size: int, stream: Stream) -> None:
    world = current()
    seconds = COPY_SECONDS + size / BYTES_PER_SECOND
    world.enqueue(stream, lambda: world.copy(target, source, size), seconds)


@call
def cudaMemcpyAsync(dst: int, src: int, count: int, kind: Any, stream: Any) -> None:
    found = current().stream_of(stream)
    current().check_direction(int(dst), int(src), count, int(kind))
    _enqueue_copy(int(dst), int(src), count, found)


@call
def cudaMemcpyBatchAsync(
    dsts: Any,
    srcs: Any,
    sizes: Any,
    count: int,
    attrs: Any,
    attrsIdxs: Any,
    numAttrs: int,
    stream: Any,
) -> None:
    world = current()
    found = world.stream_of(stream)
    world.forbid_in_capture(found)
    if not len(dsts) == len(srcs) == len(sizes) == count:
        raise Refused("cudaErrorInvalidValue")
    order = genuine.cudaMemcpySrcAccessOrder.cudaMemcpySrcAccessOrderInvalid
    if not numAttrs == len(attrs) == len(attrsIdxs) or attrs[0].srcAccessOrder == order:
        raise Refused("cudaErrorInvalidValue")
    for target, source, size in zip(dsts, srcs, sizes, strict=True):
        _enqueue_copy(int(target), int(source), size, found)


@call
def cudaMemsetAsync(devPtr: int, value: int, count: int, stream: Any) -> None:
    world, address = current(), int(devPtr)
    found = world.stream_of(stream)
    world.enqueue(found, lambda: world.fill(address, value, count), COPY_SECONDS)
