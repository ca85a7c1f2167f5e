"""The device memory of one lane: one place per tensor, one activation arena."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trtasync.backends.tensorrt.api import CudaEngine
from trtasync.backends.tensorrt.contexts import Context, corners, max_numbers
from trtasync.backends.tensorrt.library import Library
from trtasync.backends.tensorrt.outputs import GrowingOutput
from trtasync.backends.tensorrt.plans import PlanSpec
from trtasync.cuda import Device, DeviceBuffer, Stream, aligned
from trtasync.errors import InferenceError, PlanError
from trtasync.profiles import Shape

log = logging.getLogger("trtasync")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes at the largest shapes that the plan and `max_batch_size` allow.

    Attributes:
        inputs: per input (shape tensors left out).
        outputs: per output; where the size depends on data, TensorRT's bound or 0.
        dynamic: indices of the outputs whose size depends on data.
        activation: of any one context.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    dynamic: frozenset[int]
    activation: int


def measure(
    plan: PlanSpec, engine: CudaEngine, contexts: Mapping[int, Context], capacity: int
) -> Sizes:
    """Ask one context per profile for its largest shapes.

    Args:
        plan: the plan.
        engine: made from it.
        contexts: by profile index; their shapes are set here.
        capacity: rows.
    """
    inputs = [0] * len(plan.spec.row_inputs)
    outputs = [0] * len(plan.spec.outputs)
    dynamic = set()
    for profile in plan.profiles:
        if plan.spec.batched and profile.ranges[_first_row_input(plan)].min[0] > capacity:
            continue  # made for larger batches than this engine forms
        most = max_numbers(plan, profile, capacity)
        rows = [n for spec, n in zip(plan.spec.inputs, most, strict=True) if not spec.host]
        for index, (spec, shape) in enumerate(zip(plan.spec.row_inputs, rows, strict=True)):
            inputs[index] = max(inputs[index], math.prod(shape) * spec.dtype.itemsize)
        # an output may also grow as an input, or a value such as a stride, becomes smaller
        for numbers in (*corners(plan, profile, capacity), most):
            for index, size, known in _outputs_at(plan, contexts[profile.index], numbers):
                outputs[index] = max(outputs[index], size)
                if not known:
                    dynamic.add(index)
    if plan.spec.batched and dynamic:
        names = [plan.spec.outputs[index].name for index in sorted(dynamic)]
        raise PlanError(
            f"the size of output(s) {names} depends on data, so rows of a batch cannot be told "
            "apart. Build the plan with a fixed first axis (requests then run alone), or give the "
            "outputs a fixed size per row and a count."
        )
    activation = max(
        engine.get_device_memory_size_for_profile_v2(profile.index) for profile in plan.profiles
    )
    return Sizes(tuple(inputs), tuple(outputs), frozenset(dynamic), activation)


def _outputs_at(
    plan: PlanSpec, context: Context, numbers: tuple[Shape, ...]
) -> Iterator[tuple[int, int, bool]]:
    """(index, bytes, the size does not depend on data) of every output at these shapes.

    Not every corner of a profile need be possible (the values of a Reshape have to fit its input):
    such a one is passed over. What no corner has foreseen is refused when it comes.
    """
    try:
        shapes = context.shape(numbers)
    except InferenceError as error:
        log.debug("%s", error)
        return
    for index, shape in enumerate(shapes):
        spec = plan.spec.outputs[index]
        if shape is None:
            yield index, context.max_output_bytes(spec.name), False
        else:
            yield index, math.prod(shape) * spec.dtype.itemsize, True


def _first_row_input(plan: PlanSpec) -> int:
    return next(index for index, spec in enumerate(plan.spec.inputs) if not spec.host)


class LaneMemory:
    """Device memory that all batches of a lane use, one after another on its stream.

    Slots need none of their own: on one stream a batch's copy in runs after the copy out of the
    batch before. So every tensor has one address for good, whatever the slot, bucket or shape.

    Attributes:
        addresses: tensor name -> device address; outputs whose size depends on data left out.
        arena: activation memory.
        growing: memory of the outputs whose size depends on data.
    """

    def __init__(self, lib: Library, plan: PlanSpec, device: Device, stream: Stream, sizes: Sizes):
        """Raises CudaError when the device has not so much memory."""
        self._closables: list[DeviceBuffer | GrowingOutput] = []
        self.addresses: dict[str, int] = {}
        self.growing: Sequence[GrowingOutput] = ()
        try:
            self._allocate(lib, plan, device, stream, sizes)
        except BaseException:
            self.close()
            raise

    def _allocate(
        self, lib: Library, plan: PlanSpec, device: Device, stream: Stream, sizes: Sizes
    ) -> None:
        wanted = {
            spec.name: size for spec, size in zip(plan.spec.row_inputs, sizes.inputs, strict=True)
        }
        for index, (spec, size) in enumerate(zip(plan.spec.outputs, sizes.outputs, strict=True)):
            if index not in sizes.dynamic and spec.name not in plan.aliases:
                wanted[spec.name] = size
        block = DeviceBuffer(device, sum(map(aligned, wanted.values())))
        self._closables.append(block)
        # padding rows are never copied here: they must be valid inputs from the start
        device.call(device.runtime.cudaMemsetAsync, block.address, 0, block.size, stream.handle)
        start = block.address
        for name, size in wanted.items():
            self.addresses[name] = start
            start += aligned(size)
        for output, source in plan.aliases.items():
            self.addresses[output] = self.addresses[source]
        self.arena = DeviceBuffer(device, aligned(sizes.activation))
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
