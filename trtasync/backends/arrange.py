"""Between slots, where rows come first in every array, and models, which have axes of their own."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trtasync.errors import UnevenRows
from trtasync.requests import Array
from trtasync.slots import Views
from trtasync.tensors import ModelSpec, TensorSpec


def model_inputs(spec: ModelSpec, views: Views, rows: int) -> list[Array]:
    """What the model takes, in its order: views of the slot's first rows, and what they share.

    Args:
        spec: the model.
        views: of a slot, no shape tensors among its layout.
        rows: to run.
    """
    staged, shared = iter(views.inputs), iter(views.layout.shared)
    return [
        next(shared)
        if spec.is_shared(tensor)
        else _as_model_takes(spec, tensor, next(staged), rows)
        for tensor in spec.inputs
    ]


def _as_model_takes(spec: ModelSpec, tensor: TensorSpec, array: Array, rows: int) -> Array:
    if not spec.batched:
        return array[0, ...]
    part = array[:rows]
    return np.moveaxis(part, 0, tensor.batch_axis) if tensor.batch_axis else part


def slot_outputs(spec: ModelSpec, outputs: Sequence[Any], rows: int) -> list[Array]:
    """What the model gave, rows first; of a request that runs alone, the whole as one row.

    Args:
        spec: the model.
        outputs: as it gave them.
        rows: that were run.

    Raises:
        UnevenRows: an output has not so many rows along its batch axis.
    """
    if not spec.batched:
        return [np.asarray(output)[np.newaxis] for output in outputs]
    for tensor, output in zip(spec.outputs, outputs, strict=True):
        axis = tensor.batch_axis or 0
        if output.shape[axis : axis + 1] != (rows,):
            raise UnevenRows(
                f"output '{tensor.name}' has shape {output.shape} for a batch of {rows} rows: they "
                f"do not lie along its axis {axis}, so they cannot be told apart. Open the model "
                "with batching=False, or name the axis: batch_axes={...}.",
                outputs=outputs,
                rows=rows,
            )
    return [
        np.moveaxis(output, tensor.batch_axis, 0) if tensor.batch_axis else output
        for tensor, output in zip(spec.outputs, outputs, strict=True)
    ]
