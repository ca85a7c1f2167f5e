"""Operators that move elements to other places."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call, normalized
from trtasync.rows.proof.sizes import ONE, ZERO, Size, product
from trtasync.rows.proof.tensors import (
    Mixes,
    NotProved,
    Tensor,
    Value,
    reshaped,
)


@RULES.of("Constant")
def constant_value(call: Call) -> Sequence[Value]:
    import numpy as np

    from trtasync.rows.proof.scopes import stored
    from trtasync.rows.proof.tensors import constant

    attributes = call.attributes
    for name, dtype in (("value_int", np.int64), ("value_float", np.float32)):
        if name in attributes:
            return [constant(np.array(attributes[name], dtype))]
        if (numbers := attributes.get(name + "s")) is not None:
            return [constant(np.array(numbers, dtype))]
    if "value" in attributes:
        return [stored(attributes["value"])]
    raise NotProved("holds a value that is not supported")


@RULES.of("Reshape")
def reshape(call: Call) -> Sequence[Value]:
    tensor = call.data()
    given = call.attributes.get("shape")
    lengths = call.lengths(1, of_rows=True) if given is None else list(map(Size.of, given))
    if lengths is None:
        raise NotProved("gives a shape that is not known")
    target: list[Size | None] = []
    for axis, size in enumerate(lengths):
        if size == Size.of(-1):
            target.append(None)
        elif size == ZERO and not call.integer("allowzero", 0):
            target.append(tensor.dims[axis])
        else:
            # what may be 0 or -1 then has another meaning: some length, equal to no other
            target.append(call.symbols.fresh() if size.least is None else size)
    if target.count(None) > 1:
        raise NotProved("leaves more than one length open")
    return [reshaped(tensor, target, call.symbols)]


@RULES.of("Flatten")
def flatten(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axis = call.integer("axis", 1)
    axis = axis + tensor.rank if axis < 0 else axis
    sizes = (product(tensor.dims[:axis]), product(tensor.dims[axis:]))
    return [reshaped(tensor, sizes, call.symbols)]


@RULES.of("Transpose")
def transpose(call: Call) -> Sequence[Value]:
    tensor = call.data()
    order = call.attributes.get("perm") or tuple(reversed(range(tensor.rank)))
    if sorted(order) != list(range(tensor.rank)):
        raise NotProved("has an invalid order of axes")
    shape = tuple(tensor.dims[axis] for axis in order)
    layout = tensor.layout
    return [Tensor(shape, layout and layout.at(list(order).index(layout.axis)))]


@RULES.of("Squeeze")
def squeeze(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axes = call.axes(1, tensor.rank)
    if axes is None:
        if any(size.number is None for size in tensor.dims):
            raise Mixes("removes any axis of length 1, including the batch axis of a single row")
        axes = [axis for axis, size in enumerate(tensor.dims) if size == ONE]
    if tensor.layout is not None and tensor.layout.axis in axes:
        raise NotProved("removes the axis of the rows")
    kept = [axis for axis in range(tensor.rank) if axis not in axes]
    return [_moved(tensor, kept)]


def _moved(tensor: Tensor, kept: Sequence[int]) -> Tensor:
    """Keep only these axes, in this order."""
    shape = tuple(tensor.dims[axis] for axis in kept)
    layout = tensor.layout
    return Tensor(shape, layout and layout.at(list(kept).index(layout.axis)))


@RULES.of("Unsqueeze")
def unsqueeze(call: Call) -> Sequence[Value]:
    tensor = call.data()
    given = call.attributes.get("axes")
    given = call.numbers(1) if given is None else given
    rank = tensor.rank + len(given)
    axes = {normalized(axis, rank) for axis in given}
    if len(axes) != len(given):
        raise NotProved("adds an axis twice")
    old = iter(range(tensor.rank))
    source = [None if axis in axes else next(old) for axis in range(rank)]
    shape = tuple(ONE if axis is None else tensor.dims[axis] for axis in source)
    layout = tensor.layout
    return [Tensor(shape, layout and layout.at(source.index(layout.axis)))]


@RULES.of("DepthToSpace", "SpaceToDepth")
def blocks(call: Call) -> Sequence[Value]:
    tensor = call.data()
    if tensor.layout is not None and tensor.layout.axis != 0:
        raise Mixes("moves elements between rows")
    side = Size.of(call.integer("blocksize", 1))
    batch, depth, height, width = tensor.dims
    symbols = call.symbols

    def part(size: Size, by: Size) -> Size:
        quotient = size.divided_by(by)
        return symbols.fresh() if quotient is None else quotient

    if call.operator == "DepthToSpace":
        shape = (batch, part(depth, side * side), height * side, width * side)
    else:
        shape = (batch, depth * side * side, part(height, side), part(width, side))
    return [tensor.reshaped(shape)]


@RULES.of("Trilu")
def triangle(call: Call) -> Sequence[Value]:
    tensor = call.data()
    call.shared(1)
    if tensor.layout is not None and tensor.layout.axis >= tensor.rank - 2:
        raise Mixes("treats rows by their places")
    return [tensor.like()]


@RULES.of("ReverseSequence")
def reverse_sequence(call: Call) -> Sequence[Value]:
    tensor, lengths = call.data(0), call.data(1)
    batch = call.axis("batch_axis", 1, tensor.rank)
    time = call.axis("time_axis", 0, tensor.rank)
    if tensor.layout is not None and tensor.layout.axis not in (batch, time):
        call.shared(1)
        return [tensor.like()]
    if batch == time or tensor.layout is None or tensor.layout.axis != batch:
        raise Mixes("reverses the order of the rows")
    if lengths.layout != tensor.layout.at(0):
        raise Mixes("uses for all rows what was computed from single ones")
    return [tensor.like()]
