"""Between slots, where rows come first in every array, and models, which have axes of their own."""

from typing import Any

import numpy as np

from trtasync.errors import UnevenRows
from trtasync.memory.slots import Views
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.requests.signature import Array


class Arrangement:
    """How one model has what slots have rows first. Made once; asked per batch."""

    def __init__(self, spec: ModelSpec):
        """Read the batch axes of a model's tensors.

        Args:
            spec: the model.
        """
        self._spec = spec
        self._batched = spec.batched
        self._axes = [output.batch_axis or 0 for output in spec.outputs]
        tensors = (*spec.row_inputs, *spec.outputs)
        rows_first = spec.batched and not spec.shared_inputs
        self._plain = rows_first and all(not tensor.batch_axis for tensor in tensors)

    def inputs(self, views: Views, rows: int) -> list[Array]:
        """What the model takes, in its order: views of the slot's first rows, and what they share.

        Args:
            views: of a slot, no shape tensors among its layout.
            rows: to run.
        """
        if self._plain:
            return [array[:rows] for array in views.inputs]
        staged, shared = iter(views.inputs), iter(views.layout.shared)
        return [
            next(shared)
            if self._spec.is_shared(tensor)
            else self._taken(tensor, next(staged), rows)
            for tensor in self._spec.inputs
        ]

    def _taken(self, tensor: TensorSpec, array: Array, rows: int) -> Array:
        if not self._batched:
            return array[0, ...]
        part = array[:rows]
        return np.moveaxis(part, 0, tensor.batch_axis) if tensor.batch_axis else part

    def outputs(self, given: list[Any], rows: int) -> list[Array]:
        """What the model gave, rows first; of a request that runs alone, the whole as one row.

        Args:
            given: as the model gave them.
            rows: that were run.

        Raises:
            UnevenRows: an output does not have `rows` rows along its batch axis.
        """
        if self._plain:
            for index, output in enumerate(given):
                if not output.ndim or len(output) != rows:
                    raise self._uneven(index, given, rows)
            return given
        if not self._batched:
            return [np.asarray(output)[np.newaxis] for output in given]
        for index, (axis, output) in enumerate(zip(self._axes, given, strict=True)):
            if output.shape[axis : axis + 1] != (rows,):
                raise self._uneven(index, given, rows)
        return [
            np.moveaxis(output, axis, 0) if axis else output
            for axis, output in zip(self._axes, given, strict=True)
        ]

    def _uneven(self, index: int, given: list[Any], rows: int) -> UnevenRows:
        return UnevenRows(
            f"output '{self._spec.outputs[index].name}' has shape {given[index].shape} for a batch "
            f"of {rows} rows: they do not lie along its axis {self._axes[index]}, so they cannot "
            "be told apart. Open the model with batching=False, or name the axis: "
            "batch_axes={...}.",
            outputs=given,
            rows=rows,
        )
