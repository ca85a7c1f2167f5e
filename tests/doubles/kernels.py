"""Kernels for the doubles: numpy functions that run when their stream gets to them."""

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.doubles import world as worlds


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
        """Enqueue; what the context is set to now counts, whatever is set later."""
        world = worlds.current()
        addresses, shapes = dict(context._addresses), dict(context._shapes)
        model, (arena, _) = context._model, context._device_memory
        found = world.streams[stream]
        values = {
            tensor.name: view(addresses[tensor.name], shapes[tensor.name], tensor.dtype).copy()
            for tensor in model.inputs
            if tensor.host
        }

        def run() -> None:
            mark = found.handle >> 4 & 0xFF
            scratch = view(arena, (model.activation_bytes,), np.uint8)
            world.check_range(arena, model.activation_bytes, "the activation memory")
            scratch[:] = mark
            found.clock += self._seconds
            results = self._results(model, addresses, shapes, values)
            spoiled = bool((scratch != mark).any())
            for tensor, result in zip(model.outputs, results, strict=True):
                if not tensor.data_dependent:
                    self._write(world, addresses[tensor.name], result, spoiled)

        if any(tensor.data_dependent for tensor in model.outputs):
            return self._run_growing(context, world, found, run)
        world.enqueue(found, run)
        return True

    def _results(
        self, model: Any, addresses: Any, shapes: Any, values: dict[str, Any]
    ) -> tuple[Any, ...]:
        inputs = [
            values[tensor.name]
            if tensor.host
            else view(addresses[tensor.name], shapes[tensor.name], tensor.dtype)
            for tensor in model.inputs
        ]
        result = self._function(*inputs)
        return result if isinstance(result, tuple) else (result,)

    def _write(self, world: Any, address: int, result: Any, spoiled: bool) -> None:
        array = np.ascontiguousarray(result)
        world.check_range(address, array.nbytes, "a kernel's output")
        target = view(address, array.shape, array.dtype)
        target[...] = array
        if spoiled:
            target.view(np.uint8)[...] ^= 0x55

    def _run_growing(self, context: Any, world: Any, found: Any, run: Callable[[], None]) -> bool:
        """Data-dependent outputs: this double has to run up to here before it knows their size."""
        world.wait_stream(found)
        model = context._model
        results = self._results(model, dict(context._addresses), dict(context._shapes), {})
        for tensor, result in zip(model.outputs, results, strict=True):
            if tensor.data_dependent:
                array = np.ascontiguousarray(result)
                address = context._ask_allocator(
                    tensor.name, max(1, array.nbytes), int(found.handle)
                )
                if not address:
                    return False
                context._tell_shape(tensor.name, array.shape)
                world.enqueue(
                    found,
                    lambda at=address, what=array: self._write(world, at, what, False),
                )
        world.enqueue(found, run)
        return True
