"""Converts between slots, where rows are the first axis, and models with other batch axes."""

from typing import Any

import numpy as np

from trtasync.errors import UnevenRows
from trtasync.memory.slots import Views
from trtasync.model.arrays import Array
from trtasync.model.tensors import ModelSpec, TensorSpec


class Arrangement:
    """Converts batches for one model. Created once, used for every batch."""

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
        """Make the model's inputs, in its order: views of the slot's first rows, and shared inputs.

        Args:
            views: the views of a slot whose layout has no shape tensors.
            rows: the number of rows to run.
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
        """Make outputs with rows first; those of a request that runs alone are a single row.

        Args:
            given: the outputs of the model.
            rows: the number of rows that were run.

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
