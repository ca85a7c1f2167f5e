"""Tensors that depend on the places of rows: row numbers, and what is computed from them.

Exporters write "the same row of another tensor" as an index that counts the rows. Such an index is
followed until it is used that way; whatever else is computed from it depends on the places of the
rows, and only its shape is of use.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from trtasync.rows.proof.calls import Call, Rule
from trtasync.rows.proof.tensors import (
    ROW_NUMBERS,
    SOMEHOW,
    Mixes,
    Places,
    RowLayout,
    Tensor,
    Value,
)

MOVING: Final = frozenset(
    {"Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators that keep every element of their first input in its row, and its value."""


def with_places(rule: Rule) -> Rule:
    """The rule for a call some of whose inputs depend on the places of their rows."""

    def followed(call: Call) -> Sequence[Value]:
        if (picked := PICKING.get(call.operator)) and (result := picked(call)):
            return [result]
        inputs = [tensor and replace(tensor, places=None) for tensor in call.inputs]
        values = rule(replace(call, inputs=inputs))
        places = _places(call)
        return [_placed(value, places) for value in values]

    return followed


def _placed(value: Value, places: Places) -> Value:
    if not isinstance(value, Tensor):
        return value
    if value.layout is None:
        raise Mixes("computes with the places of the rows")
    return replace(value, places=places)


def _places(call: Call) -> Places:
    tensors = [tensor for tensor in call.inputs if tensor is not None]
    if call.operator == "Concat":
        return _appended(call, tensors)
    moved = call.operator in MOVING or _keeps_integers(call)
    if moved and tensors[0].places == ROW_NUMBERS:
        return ROW_NUMBERS
    return SOMEHOW


def _keeps_integers(call: Call) -> bool:
    from onnx import TensorProto

    wide = (TensorProto.INT32, TensorProto.INT64)
    return call.operator == "Cast" and call.integer("to", 0) in wide


def _appended(call: Call, tensors: Sequence[Tensor]) -> Places:
    """Row numbers combined with other parts of an index."""
    rank = tensors[0].rank
    if call.axis("axis", 1, rank) != rank - 1:
        return SOMEHOW
    at: set[int] = set()
    start = 0
    for tensor in tensors:
        length = tensor.dims[-1].number
        if length is None or tensor.places not in (None, ROW_NUMBERS):
            return SOMEHOW
        if tensor.places:
            at.update(range(start, start + length))
        start += length
    return Places(at=frozenset(at))


def _gather(call: Call) -> Tensor | None:
    """Take row i of the data for row i of the indices."""
    data, indices = call.raw(0), call.raw(1)
    if not _plain(data) or not _plain(indices) or indices.places != ROW_NUMBERS:
        return None
    axis = call.axis("axis", 0, data.rank)
    if data.places or data.layout != RowLayout(axis) or indices.layout is None:
        return None
    shape = (*data.dims[:axis], *indices.dims, *data.dims[axis + 1 :])
    return Tensor(shape, RowLayout(axis + indices.layout.axis))


def _gather_nd(call: Call) -> Tensor | None:
    data, indices = call.raw(0), call.raw(1)
    depth = _depth(call, data, indices)
    if depth is None:
        return None
    return Tensor((*indices.dims[:-1], *data.dims[depth:]), indices.layout)


def _scatter_nd(call: Call) -> Tensor | None:
    data, indices, updates = call.raw(0), call.raw(1), call.raw(2)
    if _depth(call, data, indices) is None or updates.places or updates.layout != indices.layout:
        return None
    return data.like()


def _depth(call: Call, data: Tensor, indices: Tensor) -> int | None:
    """The depth of indices each of which refers to the row it is in; None if one may not."""
    if not _plain(data) or not _plain(indices) or data.places or call.integer("batch_dims", 0):
        return None
    if data.layout is None or indices.layout is None or indices.places is None:
        return None
    at_rows = indices.places.at == {data.layout.axis}
    return indices.dims[-1].number if at_rows and indices.layout.axis < indices.rank - 1 else None


def _plain(tensor: Tensor) -> bool:
    return tensor.layout is not None and tensor.layout.plain


PICKING: Final[dict[str, Callable[[Call], Tensor | None]]] = {
    "Gather": _gather,
    "GatherND": _gather_nd,
    "ScatterND": _scatter_nd,
}
