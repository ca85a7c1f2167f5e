"""The device memory of one lane: one buffer per tensor, one activation arena."""

from collections.abc import Sequence

from trtasync.runtimes.cuda import Device, DeviceBuffer, Stream, aligned
from trtasync.runtimes.tensorrt.library import Library
from trtasync.runtimes.tensorrt.outputs import GrowingOutput
from trtasync.runtimes.tensorrt.plans import PlanSpec
from trtasync.runtimes.tensorrt.sizes import Sizes


class LaneMemory:
    """Device memory that all batches of a lane use, one after another on its stream.

    Slots need none of their own: on one stream a batch's copy in runs after the previous batch's
    copy out. So every tensor has one fixed address, whatever the slot, bucket or shape.

    Attributes:
        addresses: tensor name -> device address; outputs whose size depends on data left out.
        room: tensor name -> bytes there.
        arena: activation memory.
        growing: memory of the outputs whose size depends on data.
    """

    def __init__(self, lib: Library, plan: PlanSpec, device: Device, stream: Stream, sizes: Sizes):
        """Raises CudaError if the device does not have that much memory."""
        self._closables: list[DeviceBuffer | GrowingOutput] = []
        self.addresses: dict[str, int] = {}
        self.room: dict[str, int] = {}
        self.growing: Sequence[GrowingOutput] = ()
        try:
            self._allocate(lib, plan, device, stream, sizes)
        except BaseException:
            self.close()
            raise

    def _allocate(
        self, lib: Library, plan: PlanSpec, device: Device, stream: Stream, sizes: Sizes
    ) -> None:
        wanted = dict(sizes.inputs)
        for index, (spec, size) in enumerate(zip(plan.spec.outputs, sizes.outputs, strict=True)):
            if index not in sizes.dynamic and spec.name not in plan.aliases:
                wanted[spec.name] = size
        block = DeviceBuffer(device, sum(map(aligned, wanted.values())))
        self._closables.append(block)
        # padding rows are never copied here: they must be valid inputs from the start
        device.call(device.runtime.cudaMemsetAsync, block.address, 0, block.size, stream.handle)
        start = block.address
        for name, size in wanted.items():
            self.addresses[name], self.room[name] = start, size
            start += aligned(size)
        for output, source in plan.aliases.items():
            self.addresses[output] = self.addresses[source]
            self.room[output] = self.room[source]
        self.arena: DeviceBuffer = DeviceBuffer(device, aligned(sizes.activation))
        self._closables.append(self.arena)
        growing = []
        for index in sorted(sizes.dynamic):
            growing.append(GrowingOutput(lib.trt, device, index, sizes.outputs[index]))
            self._closables.append(growing[-1])
        self.growing = growing

    def close(self) -> None:
        """Free all of it. Nothing may be in flight."""
        while self._closables:
            self._closables.pop().close()
