"""Outputs whose size depends on data: TensorRT requests their memory during enqueueing."""

from functools import cache
from typing import Any, cast

from trtasync.runtimes.cuda import Device, DeviceBuffer
from trtasync.runtimes.tensorrt.api import Dims, TensorRT

GROWTH = 2
"""Memory that proves too small is replaced by so many times what was asked for, so that all the
memory given up in between adds up to no more than what is in use."""


class GrowingOutput:
    """The memory of one such output on one lane.

    Attributes:
        index: the index of the output.
        allocator: called by TensorRT; set it once per context, because every call of
            `set_output_allocator` keeps one more reference until the context dies.
        address: where the last batch put it.
        shape: of the last batch's output.
    """

    def __init__(self, trt: TensorRT, device: Device, index: int, size: int):
        """Allocate the first buffer.

        Args:
            trt: the module.
            device: where the memory is.
            index: the index of the output.
            size: initial bytes: the upper bound, if TensorRT knows one.
        """
        self._device = device
        self._buffers = [DeviceBuffer(device, size)]
        self.index = index
        self.address: int = self._buffers[0].address
        self.shape: tuple[int, ...] = ()
        self.allocator: Any = _allocator_class(cast(Any, trt))(self)

    def provide(self, size: int) -> int:
        """An address with room for `size` bytes; what was there before stays until `close`:
        an earlier batch may not have been copied out yet."""
        if size > self._buffers[-1].size:
            self._buffers.append(DeviceBuffer(self._device, GROWTH * size))
        self.address = self._buffers[-1].address
        return self.address

    def close(self) -> None:
        """Free all of it."""
        for buffer in reversed(self._buffers):
            buffer.close()
        self._buffers.clear()


@cache
def _allocator_class(trt: Any) -> Any:
    class Allocator(trt.IOutputAllocator):  # type: ignore[misc]  # a base known at run time only
        """Forwards TensorRT's requests. Exceptions in here would be swallowed: None means no."""

        def __init__(self, owner: GrowingOutput):
            trt.IOutputAllocator.__init__(self)
            self._owner = owner

        def reallocate_output_async(
            self, tensor_name: str, memory: int, size: int, alignment: int, stream: int
        ) -> int | None:
            try:
                return self._owner.provide(size)
            except Exception:
                return None

        def notify_shape(self, tensor_name: str, shape: Dims) -> None:
            self._owner.shape = tuple(int(dim) for dim in shape)

    return Allocator
