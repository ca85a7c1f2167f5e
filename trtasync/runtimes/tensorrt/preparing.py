"""What a batch of one size and layout in one slot needs copied, worked out once."""

import math
from collections.abc import Sequence

import numpy as np

from trtasync.errors import InferenceError
from trtasync.model.arrays import Array, Shape
from trtasync.model.tensors import TensorSpec
from trtasync.runtimes.cuda import Device, Graph
from trtasync.runtimes.tensorrt.contexts import Context, OutputShape
from trtasync.runtimes.tensorrt.launches import Arranged, Copy, Growing, Staged, WholeCopy
from trtasync.runtimes.tensorrt.memory import LaneMemory
from trtasync.runtimes.tensorrt.plans import PlanSpec
from trtasync.runtimes.tensorrt.slots import PinnedSlot


class Preparation:
    """Prepares the launches of a lane."""

    def __init__(self, device: Device, stream: int, plan: PlanSpec, memory: LaneMemory):
        """Keep what all launches of a lane share.

        Args:
            device: the lane's.
            stream: the lane's.
            plan: the plan that it runs.
            memory: where its tensors are.
        """
        self._device = device
        self._stream = stream
        self._plan = plan
        self._addresses = memory.addresses
        self._is_growing = bool(memory.growing)

    def staged(
        self,
        slot: PinnedSlot,
        rows: int,
        context: Context,
        numbers: tuple[Shape, ...],
        graph: Graph | None,
    ) -> Staged:
        """The launch of a batch whose copies are separate from the network.

        Args:
            slot: bound to the layout, and idle.
            rows: the size of the batch.
            context: the context; set to `numbers` already, or at launch.
            numbers: input shapes and values.
            graph: the graph of the network alone, if there is one.

        Raises:
            InferenceError: TensorRT refuses these shapes, or an output cannot be split into rows.
        """
        shapes = context.shape(numbers)
        copies_in = [
            Copy(self._addresses[spec.name], array.ctypes.data, _row_bytes(array))
            for spec, array in zip(self._plan.spec.row_inputs, slot.bound.inputs, strict=True)
        ]
        self.demand_rows(rows, shapes)
        outputs, copies_out = self._outputs(slot, shapes)
        place = self._device, self._stream, context, numbers
        if self._is_growing:
            return Growing(*place, copies_in, copies_out, graph, outputs)
        if self._plan.is_plain:
            return Staged(*place, copies_in, copies_out, graph, outputs)
        first = zip(self._plan.spec.row_inputs, copies_in, strict=True)
        copies_in = [
            Copy(c.device, c.host, 0 if spec.batch_axis else c.row_bytes) for spec, c in first
        ]
        launch = Arranged(*place, copies_in, copies_out, graph, outputs)
        self._arrange_inputs(launch, slot, rows, numbers)
        self._arrange_outputs(launch, outputs)
        return launch

    def demand_rows(self, rows: int, shapes: Sequence[OutputShape]) -> None:
        """Refuse outputs that cannot be split into rows.

        Raises:
            InferenceError: naming the output.
        """
        if not self._plan.spec.batched:
            return
        for spec, shape in zip(self._plan.spec.outputs, shapes, strict=True):
            axis = spec.batch_axis
            if shape is not None and axis is not None and shape[axis : axis + 1] != (rows,):
                raise InferenceError(
                    f"output '{spec.name}' has shape {shape} for a batch of {rows} rows, which do "
                    f"not lie along its axis {axis}: it cannot be split. Open the model with "
                    "batching=False, or name the axis: batch_axes={...}."
                )

    def _outputs(
        self, slot: PinnedSlot, shapes: Sequence[OutputShape]
    ) -> tuple[list[Array], list[Copy]]:
        """Return (views of the slot, rows first; the copies that fill them)."""
        outputs: list[Array] = []
        copies: list[Copy] = []
        for index, (spec, shape) in enumerate(zip(self._plan.spec.outputs, shapes, strict=True)):
            if shape is None:  # `Growing` finds out
                outputs.append(slot.result(index, 0).view(spec.dtype).reshape(1, 0))
                continue
            axis = spec.batch_axis if self._plan.spec.batched else None
            size = math.prod(shape) * spec.dtype.itemsize
            array = slot.result(index, size).view(spec.dtype).reshape(shape)
            array = array[np.newaxis] if axis is None else np.moveaxis(array, axis, 0)
            outputs.append(array)
            row_bytes = 0 if axis else _row_bytes(array)
            copies.append(Copy(self._addresses[spec.name], array.ctypes.data, row_bytes))
        return outputs, copies

    def _arrange_inputs(
        self, launch: Arranged, slot: PinnedSlot, rows: int, numbers: Sequence[Shape]
    ) -> None:
        staged, shared = iter(slot.bound.inputs), iter(slot.bound.layout.shared)
        for spec, shape in zip(self._plan.spec.inputs, numbers, strict=True):
            if spec.host:
                continue
            if spec.batch_axis is None:
                source = next(shared)
            else:
                source = next(staged)[:rows]
                if not spec.batch_axis:
                    continue
                source = np.moveaxis(source, 0, spec.batch_axis)
            target = slot.area(spec.name, shape)
            launch.moves.append((target, source))
            launch.whole_in.append(self._whole(spec, target))

    def _arrange_outputs(self, launch: Arranged, outputs: Sequence[Array]) -> None:
        for spec, array in zip(self._plan.spec.outputs, outputs, strict=True):
            if spec.batch_axis:
                address, host, size = self._whole(spec, array)
                launch.whole_out.append((host, address, size))

    def _whole(self, spec: TensorSpec, array: Array) -> WholeCopy:
        return self._addresses[spec.name], array.ctypes.data, array.nbytes


def _row_bytes(array: Array) -> int:
    return array.nbytes // max(1, len(array))
