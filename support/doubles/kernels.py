"""Kernels for the doubles: numpy functions that run when their stream gets to them."""

import ctypes
import math
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from support.doubles import world as worlds
from support.doubles.streams import Refused, Stream

_marks = count(1)


def view(address: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Memory as an array."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    raw: Any = (ctypes.c_uint8 * max(1, size)).from_address(address)
    return np.frombuffer(raw, np.uint8, size).view(kind).reshape(shape)


class HostKernel:
    """See `models.host_kernel`."""

    def __init__(self, function: Callable[..., Any], seconds: float):
        self._function = function
        self._seconds = seconds

    def __call__(self, context: Any, stream: int) -> bool:
        """Enqueue, with the context's current settings, whatever is set later."""
        world = worlds.current()
        world.check_thread("execute_async_v3")
        try:
            found = world.stream_of(stream)
            job = _Job(world, self._function, context)
            if world.broken or not (job.grown or self._grow(context, world, found, job)):
                return False
            with world.condition:
                world.enqueue(found, job.begin, self._seconds)
                world.enqueue(found, job.end)
        except Refused:
            return False
        return True

    def _grow(self, context: Any, world: worlds.World, stream: Stream, job: "_Job") -> bool:
        """Outputs whose size depends on data: it is known only when the stream gets here."""
        world.wait_stream(stream)
        for tensor, array in zip(job.model.outputs, job.compute(), strict=True):
            if tensor.data_dependent:
                address = context._ask_allocator(tensor.name, max(1, array.nbytes), stream.handle)
                if not address:
                    return False
                job.addresses[tensor.name] = address
                context._tell_shape(tensor.name, array.shape)
        return True


class _Job:
    """One enqueue.

    Attributes:
        addresses: of every tensor.
        grown: every output has an address.
    """

    def __init__(self, world: worlds.World, function: Callable[..., Any], context: Any):
        self.model = context._model
        self.addresses: dict[str, int] = dict(context._addresses)
        self.grown = not any(tensor.data_dependent for tensor in self.model.outputs)
        self._world = world
        self._function = function
        self._shapes: dict[str, tuple[int, ...]] = dict(context._shapes)
        self._arena = context._device_memory[0]
        self._size = context._wanted()
        self._mark = 0
        self._values = {
            tensor.name: self._view(tensor).copy() for tensor in self.model.inputs if tensor.host
        }

    def _view(self, tensor: Any) -> Any:
        return view(self.addresses[tensor.name], self._shapes[tensor.name], tensor.dtype)

    def begin(self) -> None:
        """Use the activation memory."""
        self._mark = next(_marks) & 0xFF
        if self._world.check_range(self._arena, self._size, "the activation memory"):
            view(self._arena, (self._size,), np.uint8)[:] = self._mark

    def end(self) -> None:
        """Compute and write; garbage if something else used the activation memory."""
        results = self.compute()
        spoiled = self._is_spoiled()  # not before: a use during the computation counts too
        for tensor, array in zip(self.model.outputs, results, strict=True):
            address = self.addresses[tensor.name]
            if self._world.check_range(address, array.nbytes, f"output '{tensor.name}'"):
                target = view(address, array.shape, array.dtype)
                target[...] = array
                if spoiled:
                    target.reshape(-1).view(np.uint8)[...] ^= 0x55

    def _is_spoiled(self) -> bool:
        if not self._size:
            return False
        if self._world.find(self._arena, self._size) is None:
            return True  # noted by `begin`, or freed since
        return bool((view(self._arena, (self._size,), np.uint8) != self._mark).any())

    def compute(self) -> Sequence[Any]:
        """The outputs for the current content of the inputs."""
        result = self._function(*map(self._input, self.model.inputs))
        results = result if isinstance(result, tuple) else (result,)
        return [np.ascontiguousarray(array) for array in results]

    def _input(self, tensor: Any) -> Any:
        if tensor.host:
            return self._values[tensor.name]
        shape, kind = self._shapes[tensor.name], np.dtype(tensor.dtype)
        size = math.prod(shape) * kind.itemsize
        if self._world.check_range(self.addresses[tensor.name], size, f"input '{tensor.name}'"):
            return self._view(tensor)
        return np.full(size, worlds.FREED, np.uint8).view(kind).reshape(shape)
