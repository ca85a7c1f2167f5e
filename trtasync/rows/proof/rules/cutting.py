"""Operators that drop elements or append others."""

from collections.abc import Sequence
from typing import Final

from trtasync.rows.proof.calls import RULES, Call, normalized
from trtasync.rows.proof.sizes import ZERO, Size
from trtasync.rows.proof.tensors import Mixes, NotProved, Tensor, Value, common_layout

NO_END: Final = 10**9
"""What exporters write for "to the end" is this or more; no axis is so long."""


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
        raise Mixes("appends elements to the rows")
    shape = tuple(total if each == axis else size for each, size in enumerate(tensors[0].dims))
    return [Tensor(shape, layout)]


@RULES.of("Split")
def split(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axis = call.axis("axis", 0, tensor.rank)
    if tensor.layout is not None and axis == tensor.layout.axis:
        raise NotProved("splits the rows apart")
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
            raise Mixes("takes some of the rows")
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
        raise Mixes("is shaped by the number of rows")
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
            raise Mixes("appends elements to the rows")
        shape[axis] = shape[axis] + before + after
    return [tensor.reshaped(tuple(shape))]


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
            raise Mixes("takes some of the rows")
        shape[axis] = length
    return [tensor.reshaped(tuple(shape))]
