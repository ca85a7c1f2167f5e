"""Arrays in device memory: those that callers pass in, and those that they get back."""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from trtasync.errors import CudaError, InvalidInput
from trtasync.model.tensors import TensorSpec
from trtasync.runtimes.cuda import dlpack
from trtasync.runtimes.cuda.device import Device
from trtasync.runtimes.cuda.memory import DeviceBuffer
from trtasync.runtimes.cuda.streams import Event, Stream

log: logging.Logger = logging.getLogger("trtasync")

_LEGACY_STREAM = 1
"""`cudaStreamLegacy`: where a producer that names no stream is taken to have worked."""


class LentInput:
    """A caller's array that the GPU copies directly, from device memory or our own pinned memory.

    Attributes:
        address: of its first byte.
        shape: of the array.
        dtype: of the array.
        ready: fires when the producer's stream has produced it; None if it is already complete.
        nbytes: bytes of the whole array.
    """

    __slots__ = ("_owner", "address", "dtype", "nbytes", "ready", "shape")

    def __init__(
        self,
        address: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        ready: Event | None,
        owner: object,
    ):
        self.address: int = address
        self.shape: tuple[int, ...] = shape
        self.dtype: np.dtype[Any] = dtype
        self.ready: Event | None = ready
        self.nbytes: int = math.prod(shape) * dtype.itemsize
        self._owner = owner  # keeps the memory (and the event) alive

    def __getitem__(self, rows: slice) -> "LentInput":
        """Return some of its rows."""
        start, stop, _ = rows.indices(self.shape[0])
        row_bytes = self.nbytes // max(1, self.shape[0])
        return LentInput(
            self.address + start * row_bytes,
            (max(0, stop - start), *self.shape[1:]),
            self.dtype,
            self.ready,
            self,
        )


class ArrayIntake:
    """Accepts callers' arrays: finds out where they are and what has to be waited for.

    It has one stream on which nothing runs: producers make it wait for them, and an event on it
    tells when they are done.
    """

    def __init__(self, devices: Sequence[Device]):
        """Streams and events are created only when an array needs one.

        Args:
            devices: those whose memory is accepted.
        """
        self._devices = {device.index: device for device in devices}
        self._streams: dict[int, Stream] = {}
        self._spare: dict[int, list[Event]] = {device.index: [] for device in devices}
        self._made: list[Event] = []

    def adopt(self, spec: TensorSpec, value: Any) -> LentInput | None:
        """Return a device array as an input of the engine; None for anything in host memory.

        Raises:
            InvalidInput: it is on another device, is not contiguous or has another dtype.
        """
        if hasattr(value, "__dlpack_device__"):
            kind, index = value.__dlpack_device__()
            if int(kind) not in (dlpack.CUDA, dlpack.CUDA_MANAGED):
                return None
            device = self._device(spec, int(index))
            device.enter()
            stream = self._stream(device)
            try:
                capsule = value.__dlpack__(stream=stream.handle)
            except Exception as error:  # e.g. torch refuses tensors that require gradients
                raise InvalidInput(
                    f"input {spec} got {type(value).__name__}, which cannot be exported: {error}"
                ) from error
            address, shape, strides, code, _ = dlpack.read(capsule)
            if code != dlpack.dtype_code(spec.dtype):
                raise _wrong_dtype(spec, getattr(value, "dtype", f"DLPack type {code}"))
            size = spec.dtype.itemsize
            _demand_contiguous(spec, shape, strides and tuple(stride * size for stride in strides))
            ready = self._event(device)
            ready.record(stream.handle)
            return LentInput(address, shape, spec.dtype, ready, _Held(capsule, self, ready))
        if hasattr(value, "__cuda_array_interface__"):
            return self._from_interface(spec, value)
        return None

    def _from_interface(self, spec: TensorSpec, value: Any) -> LentInput:
        interface = value.__cuda_array_interface__
        first = next(iter(self._devices.values()))
        first.enter()
        address = int(interface["data"][0])
        # the interface does not name the device
        index = int(first.call(first.runtime.cudaPointerGetAttributes, address).device)
        device = self._device(spec, index)
        device.enter()
        if np.dtype(interface["typestr"]) != spec.dtype:
            raise _wrong_dtype(spec, np.dtype(interface["typestr"]))
        shape = tuple(interface["shape"])
        _demand_contiguous(spec, shape, interface.get("strides"))
        ready = self._event(device)
        # version 3: None promises that there is nothing to wait for; older versions say nothing
        stream = interface.get("stream", _LEGACY_STREAM)
        ready.record(self._stream(device).handle if stream is None else int(stream))
        held = _Held(value, self, ready)
        return LentInput(address, shape, spec.dtype, ready, held)

    def _device(self, spec: TensorSpec, index: int) -> Device:
        device = self._devices.get(index)
        if device is None:
            raise InvalidInput(
                f"input {spec} got an array on GPU {index}, but this engine runs on GPU(s) "
                f"{list(self._devices)}; move it there, or pass a host array."
            )
        return device

    def _stream(self, device: Device) -> Stream:
        stream = self._streams.get(device.index)
        if stream is None:
            stream = self._streams[device.index] = Stream(device)
        return stream

    def _event(self, device: Device) -> Event:
        spare = self._spare[device.index]
        if spare:
            return spare.pop()
        event = Event(device)
        self._made.append(event)
        return event

    def give_back(self, event: Event) -> None:
        """Take back the event of an input that is done with it. Thread-safe."""
        self._spare[event.device.index].append(event)

    def close(self) -> None:
        """Free streams and events. Nothing may be in flight."""
        for event in self._made:
            event.close()
        for index, stream in self._streams.items():
            self._devices[index].enter_to_free()
            stream.close()
        self._made.clear()
        for spare in self._spare.values():
            spare.clear()
        self._streams.clear()


class _Held:
    """What an input keeps alive, and the event that it returns."""

    def __init__(self, owner: object, intake: ArrayIntake, event: Event):
        self._owner = owner
        self._intake = intake
        self._event = event

    def __del__(self) -> None:
        self._intake.give_back(self._event)


def _demand_contiguous(
    spec: TensorSpec, shape: tuple[int, ...], strides: tuple[int, ...] | None
) -> None:
    """Refuse arrays that are not row-major; `strides` are in bytes, None means row-major."""
    expected = spec.dtype.itemsize
    for length, stride in zip(reversed(shape), reversed(strides or ()), strict=False):
        if length > 1 and stride != expected:
            raise InvalidInput(
                f"input {spec} got a device array of shape {shape} with strides {strides}; "
                "it must be row-major: x.contiguous() in torch, ascontiguousarray in CuPy."
            )
        expected *= length


def _wrong_dtype(spec: TensorSpec, found: object) -> InvalidInput:
    return InvalidInput(f"input {spec} got a device array of {found}; convert it to {spec.dtype}.")


class DeviceArray:
    """An answer in device memory, complete when it is handed out.

    Any library that speaks DLPack or the CUDA array interface can use it without a copy:
    `torch.from_dlpack(array)`, `cupy.asarray(array)`. The memory is released when this object and
    everything made from it is gone.

    Attributes:
        shape: of the array.
        dtype: numpy's name for its type.
        device: index of the GPU.
        address: of its first byte.
    """

    def __init__(
        self,
        address: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        device: int,
        owner: object,
    ):
        """Not to be called by users."""
        self.address = address
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self._owner = owner

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3, without a stream to wait for, because the answer is complete."""
        if self.dtype.isbuiltin != 1:
            raise AttributeError(f"{self.dtype} has no array-interface type string; use DLPack.")
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "stream": None,
        }

    def __dlpack__(self, *, stream: Any = None, **_: Any) -> Any:
        """Return a capsule; the consumer's stream need not wait, because the answer is complete."""
        return dlpack.export(self.address, self.shape, self.dtype, self.device, self)

    def __dlpack_device__(self) -> tuple[int, int]:
        """(kDLCUDA, index)."""
        return dlpack.CUDA, self.device

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> "DeviceArray":
        """Return a view of one row (`array[3]`) or several (`array[1:3]`)."""
        first = index
        if isinstance(index, tuple):
            first = index[0] if index else ...
            if len(index) > 2 or index[1:] not in ((), (...,)):
                raise IndexError("a device array can be indexed along its first axis only.")
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if isinstance(first, slice):
            start, stop, step = first.indices(self.shape[0])
            if step != 1:
                raise IndexError("a device array can only be sliced with step 1.")
            shape: tuple[int, ...] = (max(0, stop - start), *self.shape[1:])
        else:
            start = range(self.shape[0])[first]
            shape = self.shape[1:]
        return DeviceArray(self.address + start * row_bytes, shape, self.dtype, self.device, self)

    def __repr__(self) -> str:
        return f"<DeviceArray {self.dtype}{list(self.shape)} on GPU {self.device}>"


class OutputPool:
    """Device memory for answers that stay there: taken per request, reused when released.

    The holder of an answer may have enqueued work on it before releasing it. So released memory is
    reused only when all work enqueued on the device at that time is done; `run` waits for that.
    """

    SPARE = 64
    """Buffers kept at most."""

    def __init__(self, device: Device, run: Callable[[Callable[[], None]], bool]):
        """Allocate nothing yet.

        Args:
            device: where to allocate.
            run: runs a function in some thread; returns False if there is none any more.
        """
        self._device = device
        self._run = run
        self._free: dict[int, list[DeviceBuffer]] = {}
        self._released: list[DeviceBuffer] = []
        self._closed = False
        self._lock = threading.RLock()  # the garbage collector may release memory while it is held

    def take(self, size: int) -> "Lease":
        """Return memory of this many bytes, released when the lease is gone."""
        with self._lock:
            spare = self._free.get(size)
            if spare:
                return Lease(self, spare.pop())
        self._device.enter_again()
        return Lease(self, DeviceBuffer(self._device, size))

    def release(self, buffer: DeviceBuffer) -> None:
        """Thread-safe."""
        self._released.append(buffer)
        if self._closed or not self._run(self._reclaim):
            self._reclaim()

    def _reclaim(self) -> None:
        released: list[DeviceBuffer] = []
        with suppress(IndexError):  # another thread may be doing the same
            while True:
                released.append(self._released.pop())
        if not released:
            return
        self._device.enter_to_free()
        if not self._rest():
            self._released += released  # leave it to the next release
            return
        for buffer in released:
            if not self._keep(buffer):
                buffer.close()

    def _rest(self) -> bool:
        """Wait until the device has finished its work; False if it could not be synchronized."""
        device = self._device
        if not device.lost:
            try:
                device.call(device.runtime.cudaDeviceSynchronize)
            except CudaError as error:  # another engine is capturing
                log.debug("%s", error)
                return self._closed  # freeing itself waits for the device
        return True

    def _keep(self, buffer: DeviceBuffer) -> bool:
        with self._lock:
            if self._closed or sum(map(len, self._free.values())) >= self.SPARE:
                return False
            self._free.setdefault(buffer.size, []).append(buffer)
            return True

    def close(self) -> None:
        """Free what is not in use; the rest is freed when it is released."""
        with self._lock:
            self._closed = True
            spare = [buffer for buffers in self._free.values() for buffer in buffers]
            self._free.clear()
        self._reclaim()
        for buffer in spare:
            buffer.close()


class Lease:
    """Holds a buffer of a pool."""

    def __init__(self, pool: OutputPool, buffer: DeviceBuffer):
        self._pool = pool
        self._buffer = buffer
        self.address: int = buffer.address

    def __del__(self) -> None:
        self._pool.release(self._buffer)
