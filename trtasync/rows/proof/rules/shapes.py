"""Operators that give elements another place."""

from collections.abc import Sequence
from typing import Final

from trtasync.rows.proof.calls import RULES, Call, normalized
from trtasync.rows.proof.sizes import ONE, ZERO, Size, product
from trtasync.rows.proof.tensors import (
    ROW_NUMBERS,
    Layout,
    NotProved,
    Tensor,
    Value,
    common_layout,
    reshaped,
)

NO_END: Final = 10**9
"""What exporters write for "to the end" is this or more; no axis is so long."""


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
    raise NotProved("holds what is not looked into")


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
            # what may be 0 or -1 has another meaning then: some length, equal to no other
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
        raise NotProved("has an order of axes that is none")
    shape = tuple(tensor.dims[axis] for axis in order)
    layout = tensor.layout
    return [Tensor(shape, layout and layout.at(list(order).index(layout.axis)))]


@RULES.of("Squeeze")
def squeeze(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axes = call.axes(1, tensor.rank)
    if axes is None:
        if any(size.number is None for size in tensor.dims):
            raise NotProved("removes any axis of length 1, those of a single row too")
        axes = [axis for axis, size in enumerate(tensor.dims) if size == ONE]
    if tensor.layout is not None and tensor.layout.axis in axes:
        raise NotProved("removes the axis of the rows")
    kept = [axis for axis in range(tensor.rank) if axis not in axes]
    return [_moved(tensor, kept)]


def _moved(tensor: Tensor, kept: Sequence[int]) -> Tensor:
    """Only these axes of it, in this order."""
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


@RULES.of("Concat")
def concat(call: Call) -> Sequence[Value]:
    tensors = call.all_data()
    rank = tensors[0].rank
    given = call.attributes["axis"] if call.version >= 4 else call.integer("axis", 1)
    axis = normalized(given, rank)
    if any(tensor.rank != rank for tensor in tensors):
        raise NotProved("joins tensors of different ranks")
    layout = common_layout(tensors)
    total = ZERO
    for tensor in tensors:
        total += tensor.dims[axis]
    if layout is not None and (
        axis == layout.axis or any(tensor.layout is None for tensor in tensors)
    ):
        raise NotProved("appends elements to the rows")
    shape = tuple(total if each == axis else size for each, size in enumerate(tensors[0].dims))
    return [Tensor(shape, layout)]


@RULES.of("Split")
def split(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axis = call.axis("axis", 0, tensor.rank)
    if tensor.layout is not None and axis == tensor.layout.axis:
        raise NotProved("parts the rows from one another")
    sizes = call.attributes.get("split")
    lengths = None if sizes is None else [Size.of(length) for length in sizes]
    if lengths is None and call.has(1):
        lengths = call.lengths(1)
    if lengths is None:
        equal = tensor.dims[axis].divided_by(Size.of(call.outputs))
        lengths = [call.symbols.fresh() if equal is None else equal] * call.outputs
    shapes = [
        tuple(length if each == axis else size for each, size in enumerate(tensor.dims))
        for length in lengths[: call.outputs]
    ]
    return [tensor.reshaped(shape) for shape in shapes]


@RULES.of("Slice")
def cut(call: Call) -> Sequence[Value]:
    tensor = call.data()
    starts, ends, axes, steps = _slices(call, tensor)
    shape = list(tensor.dims)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        length = _slice_length(call, shape[axis], start, end, step)
        if tensor.layout is not None and axis == tensor.layout.axis and length != shape[axis]:
            raise NotProved("takes some of the rows")
        shape[axis] = length
    return [tensor.reshaped(tuple(shape))]


def _slices(
    call: Call, tensor: Tensor
) -> tuple[list[Size], list[Size], list[int], list[int | None]]:
    if "starts" in call.attributes:
        starts = list(map(Size.of, call.attributes["starts"]))
        ends = list(map(Size.of, call.attributes["ends"]))
    else:
        starts = call.lengths(1, of_rows=True) or []
        ends = call.lengths(2, of_rows=True) or []
        if not starts or not ends:
            raise NotProved("cuts along axes that are not known")
    axes = call.axes(3, tensor.rank)
    axes = list(range(len(starts))) if axes is None else axes
    if len(set(axes)) != len(axes):
        raise NotProved("cuts an axis twice")
    steps: list[int | None] = [1] * len(axes)
    if call.has(4):
        steps = [size.number for size in call.lengths(4) or ()]
    return starts, ends, axes, steps


def _slice_length(call: Call, size: Size, start: Size, end: Size, step: int | None) -> Size:
    length = size.number
    numbers = (start.number, end.number, step)
    if length is not None and None not in numbers:
        return Size.of(len(range(*slice(*numbers).indices(length))))
    all_there = end == size or (end.number is not None and end.number >= NO_END)
    if start == ZERO and step == 1 and all_there:
        return size
    if start.rows or end.rows:
        raise NotProved("is shaped by the number of rows")
    return call.symbols.fresh()


@RULES.of("Pad")
def pad(call: Call) -> Sequence[Value]:
    tensor = call.data()
    call.shared(2)
    given = call.attributes.get("pads", call.attributes.get("paddings"))
    pads = call.lengths(1) if given is None else [Size.of(number) for number in given]
    axes = list(range(tensor.rank))
    if call.has(3):
        axes = call.axes(3, tensor.rank) or []
    if pads is None or len(pads) != 2 * len(axes):
        raise NotProved("pads along axes that are not known")
    shape = list(tensor.dims)
    for index, axis in enumerate(axes):
        before, after = pads[index], pads[index + len(axes)]
        at_rows = tensor.layout is not None and axis == tensor.layout.axis
        if at_rows and (before != ZERO or after != ZERO):
            raise NotProved("appends elements to the rows")
        shape[axis] = shape[axis] + before + after
    return [tensor.reshaped(tuple(shape))]


@RULES.of("Expand")
def expand(call: Call) -> Sequence[Value]:
    tensor = call.data()
    target = call.lengths(1, of_rows=True)
    if target is None:
        raise NotProved("expands to a shape that is not known")
    rank = max(tensor.rank, len(target))
    more = rank - tensor.rank
    own = (ONE,) * more + tensor.dims
    wanted = [ONE] * (rank - len(target)) + target
    layout = tensor.layout and tensor.layout.at(tensor.layout.axis + more)
    shape = []
    for axis, (size, asked) in enumerate(zip(own, wanted, strict=True)):
        shape.append(_expanded(call, size, asked, layout, axis))
    return [_grown(call, shape, layout)]


def _expanded(call: Call, size: Size, asked: Size, layout: Layout | None, axis: int) -> Size:
    if asked in (ONE, size):
        return size
    if layout is not None and axis == layout.axis:
        raise NotProved("repeats rows as often as is not known to be once")
    if size == ONE:
        return asked
    if asked.rows:
        raise NotProved("joins rows with a tensor that has other elements along them")
    if size.number is not None:
        return size  # the other one is equal to it, or one
    return call.symbols.fresh()


def _grown(call: Call, shape: Sequence[Size], layout: Layout | None) -> Tensor:
    """A tensor whose elements are the same all along an axis as long as there are rows."""
    grown = [axis for axis, size in enumerate(shape) if size.rows]
    if layout is None and len(grown) == 1:
        inner = shape[grown[0]].divided_by(call.symbols.rows)
        if inner is None:
            raise NotProved("gives a length from which the rows cannot be told")
        layout = Layout(grown[0], inner=inner)
    return Tensor(tuple(shape), layout)


@RULES.of("ConstantOfShape")
def constant_of_shape(call: Call) -> Sequence[Value]:
    lengths = call.lengths(0, of_rows=True)
    return [Tensor(None) if lengths is None else _grown(call, lengths, None)]


@RULES.of("Range")
def count(call: Call) -> Sequence[Value]:
    try:
        start, limit, step = (call.lengths(index, of_rows=index == 1) for index in range(3))
    except NotProved:  # floats
        call.shared(0, 1, 2)
        return [Tensor((call.symbols.fresh(),))]
    if start != [ZERO] or step != [ONE] or limit is None or limit[0].least is None:
        call.shared(0, 1, 2)
        return [Tensor((call.symbols.fresh(),))]
    if limit == [call.symbols.rows]:
        return [Tensor((limit[0],), Layout(0), places=ROW_NUMBERS)]
    return [Tensor((limit[0],))]


@RULES.of("Tile")
def tile(call: Call) -> Sequence[Value]:
    tensor = call.data()
    repeats = call.lengths(1, of_rows=True)
    if call.version < 6 or repeats is None or len(repeats) != tensor.rank:
        raise NotProved("repeats along axes that are not known")
    layout = tensor.layout
    if layout is not None and repeats[layout.axis] != ONE:
        raise NotProved("repeats the rows")
    shape = [size * times for size, times in zip(tensor.dims, repeats, strict=True)]
    return [_grown(call, shape, layout)]


@RULES.of("CenterCropPad")
def center_crop_pad(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axes = call.axes(None, tensor.rank) or list(range(tensor.rank))
    lengths = call.lengths(1)
    if lengths is None or len(lengths) != len(axes):
        raise NotProved("crops along axes that are not known")
    shape = list(tensor.dims)
    for axis, length in zip(axes, lengths, strict=True):
        if tensor.layout is not None and axis == tensor.layout.axis:
            raise NotProved("takes some of the rows")
        shape[axis] = length
    return [tensor.reshaped(tuple(shape))]


@RULES.of("DepthToSpace", "SpaceToDepth")
def blocks(call: Call) -> Sequence[Value]:
    tensor = call.data()
    if tensor.layout is not None and tensor.layout.axis != 0:
        raise NotProved("moves elements between rows")
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
        raise NotProved("treats rows by their places")
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
        raise NotProved("reverses the order of the rows")
    if lengths.layout != tensor.layout.at(0):
        raise NotProved("takes for all rows what comes from single ones")
    return [tensor.like()]
