"""Resize and Upsample: interpolation along axes that are not the rows'."""

from collections.abc import Sequence
from typing import Any

from trtasync.rows.proof.calls import RULES, Call
from trtasync.rows.proof.sizes import Size
from trtasync.rows.proof.tensors import Mixes, NotProved, Tensor, Value

EXACT = ("align_corners", "asymmetric", "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")
"""Coordinates that are unchanged along an axis which keeps its length."""


@RULES.of("Resize", "Upsample")
def resize(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axes = call.axes(None, tensor.rank)
    axes = list(range(tensor.rank)) if axes is None else axes
    shape = list(tensor.dims)
    for axis, size in zip(axes, _resized(call, [shape[axis] for axis in axes]), strict=True):
        shape[axis] = size
    if tensor.layout is not None:
        _check_rows(call, tensor, axes, shape)
    return [tensor.reshaped(tuple(shape))]


def _check_rows(call: Call, tensor: Tensor, axes: Sequence[int], shape: Sequence[Size]) -> None:
    layout = tensor.layout
    if layout is None or layout.axis != 0 or shape[0] != tensor.dims[0]:
        raise Mixes("resizes along the rows")
    # An interpolation along the rows multiplies the neighbour by 0, which NaN survives. With four
    # axes or more, runtimes leave the first two alone.
    if call.text("mode", "nearest") != "nearest" and tensor.rank < 4:
        raise Mixes("interpolates between rows")
    if 0 in axes and (
        call.text("coordinate_transformation_mode", "half_pixel") not in EXACT
        or call.text("keep_aspect_ratio_policy", "stretch") != "stretch"
    ):
        raise Mixes("resizes along the rows")


def _resized(call: Call, sizes: Sequence[Size]) -> list[Size]:
    if call.operator == "Upsample" or call.version < 11:
        scales = call.attributes.get("scales") or _values(call, 1)
    else:
        call.shared(1)
        if call.has(3) and (lengths := call.lengths(3, of_rows=True)):
            return _asked(call, sizes, lengths)
        scales = _values(call, 2)
    if scales is None:
        raise NotProved("resizes by factors that are not known")
    return [_scaled(call, size, float(by)) for size, by in zip(sizes, scales, strict=True)]


def _values(call: Call, index: int) -> Sequence[Any] | None:
    values = call.data(index).values
    return None if values is None or values.dtype.kind != "f" else values.ravel().tolist()


def _asked(call: Call, sizes: Sequence[Size], lengths: Sequence[Size]) -> list[Size]:
    if len(lengths) != len(sizes):
        raise NotProved("resizes along axes that are not known")
    free = call.text("keep_aspect_ratio_policy", "stretch") != "stretch"
    return [
        call.symbols.fresh() if free and size != asked else asked
        for size, asked in zip(sizes, lengths, strict=True)
    ]


def _scaled(call: Call, size: Size, factor: float) -> Size:
    return size * Size.of(int(factor)) if factor.is_integer() else call.symbols.fresh()
