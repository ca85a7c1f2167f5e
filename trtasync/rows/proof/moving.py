"""Operators that move the elements of small known tensors: numbers and lengths alike."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from trtasync.rows.proof.arithmetic import objects, symbolic
from trtasync.rows.proof.calls import MOST_FOLDED, Call, normalized
from trtasync.rows.proof.sizes import ONE, ZERO, Size
from trtasync.rows.proof.tensors import (
    NotProved,
    Values,
)


def _cast(call: Call, arrays: Sequence[Values]) -> list[Values]:
    from onnx import helper

    [array] = arrays
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(call.integer("to", 0)))
    if dtype.kind not in "iufb":
        raise NotProved("casts to a type that is not supported")
    if array.dtype != object:
        if array.dtype.kind == "f" and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if not np.all((array > limits.min // 2) & (array < limits.max // 2)):
                raise NotProved("casts a number to a type that cannot hold it")
        return [np.asarray(array.astype(dtype))]
    return [objects([_cast_one(size, dtype, call) for size in array.flat], array.shape)]


def _cast_one(size: Size, dtype: np.dtype[Any], call: Call) -> Size:
    if dtype.kind == "f":
        return call.symbols.result(f"cast {dtype}", size, exact=False)
    if dtype in (np.int64, np.int32) and size.exact:
        return size
    return call.symbols.result(f"cast {dtype}", size)


def _gather(call: Call, arrays: Sequence[Values]) -> list[Values]:
    array, indices = arrays
    axis = normalized(call.integer("axis", 0), array.ndim)
    picked = np.take(array, _numbers(indices), axis=axis)
    return [objects([picked], ()) if isinstance(picked, Size) else np.asarray(picked)]


def _numbers(array: Values) -> Values:
    if array.dtype == object:
        raise NotProved("picks by an index that is not known")
    return array


def _concat(call: Call, arrays: Sequence[Values]) -> list[Values]:
    if any(array.dtype == object for array in arrays):
        arrays = [symbolic(array) for array in arrays]
    return [np.concatenate(arrays, axis=call.integer("axis", 1))]


def _unsqueeze(call: Call, arrays: Sequence[Values]) -> list[Values]:
    axes = call.attributes.get("axes")
    axes = _numbers(arrays[1]).tolist() if axes is None else axes
    return [np.expand_dims(arrays[0], tuple(axes))]


def _squeeze(call: Call, arrays: Sequence[Values]) -> list[Values]:
    axes = call.attributes.get("axes")
    if axes is None and len(arrays) > 1:
        axes = _numbers(arrays[1]).tolist()
    return [np.squeeze(arrays[0], None if axes is None else tuple(axes))]


def _slice(call: Call, arrays: Sequence[Values]) -> list[Values]:
    array, *numbers = arrays
    if not numbers:
        names = ("starts", "ends", "axes")
        numbers = [np.array(call.attributes[name]) for name in names if name in call.attributes]
    starts, ends, *rest = [_numbers(each).ravel().tolist() for each in numbers]
    axes = rest[0] if rest else range(len(starts))
    steps = rest[1] if len(rest) > 1 else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index: list[slice] = [slice(None)] * array.ndim
        index[axis] = slice(start, end, step)
        array = array[tuple(index)]
    return [array]


def _transpose(call: Call, arrays: Sequence[Values]) -> list[Values]:
    return [np.transpose(arrays[0], call.attributes.get("perm"))]


def _identity(call: Call, arrays: Sequence[Values]) -> list[Values]:
    return [arrays[0]]


def _reshape(call: Call, arrays: Sequence[Values]) -> list[Values]:
    target = _numbers(arrays[1]).ravel().tolist()
    if not call.integer("allowzero", 0):
        shape = arrays[0].shape
        target = [shape[axis] if length == 0 else length for axis, length in enumerate(target)]
    return [arrays[0].reshape(target)]


def _total(call: Call, arrays: Sequence[Values]) -> list[Values]:
    """ReduceProd and ReduceSum over a whole vector."""
    array = arrays[0]
    if array.ndim != 1 or array.dtype not in (np.int32, np.int64, object):
        raise NotProved("reduces what is not a list of lengths")
    if len(arrays) > 1 or call.integer("noop_with_empty_axes", 0):
        axes = _numbers(arrays[1]).ravel().tolist() if len(arrays) > 1 else []
    else:
        axes = call.attributes.get("axes", [0])
    if list(axes) not in ([0], [-1]):
        raise NotProved("reduces along axes that are not supported")
    sizes = symbolic(array)
    if not all(size.exact for size in sizes.flat):
        raise NotProved("reduces what was not an integer")
    total = ONE if call.operator == "ReduceProd" else ZERO
    for size in sizes:
        total = total * size if call.operator == "ReduceProd" else total + size
    return [objects([total], (1,) if call.integer("keepdims", 1) else ())]


def _split(call: Call, arrays: Sequence[Values]) -> list[Values]:
    array = arrays[0]
    axis = normalized(call.integer("axis", 0), array.ndim)
    parts = call.attributes.get("split")
    if len(arrays) > 1:
        parts = _numbers(arrays[1]).tolist()
    if parts is None:
        return np.split(array, call.outputs, axis)
    return np.split(array, np.cumsum(parts)[:-1], axis)


def _constant_of_shape(call: Call, arrays: Sequence[Values]) -> list[Values]:
    from onnx import numpy_helper

    lengths = _numbers(arrays[0]).tolist()
    if math.prod(lengths) > MOST_FOLDED:
        raise NotProved("makes a large tensor")
    value = call.attributes.get("value")
    element = np.float32(0) if value is None else numpy_helper.to_array(value).ravel()[0]
    return [np.full(lengths, element)]


def _range(call: Call, arrays: Sequence[Values]) -> list[Values]:
    start, limit, step = (_numbers(array).ravel()[0] for array in arrays)
    if start.dtype.kind != "i" or step == 0 or abs(int(limit) - int(start)) > MOST_FOLDED:
        raise NotProved("counts further than is supported")
    return [np.arange(start, limit, step, dtype=start.dtype)]


def _expand(call: Call, arrays: Sequence[Values]) -> list[Values]:
    target = _numbers(arrays[1]).ravel().tolist()
    shape = np.broadcast_shapes(arrays[0].shape, tuple(target))
    if math.prod(shape) > MOST_FOLDED:
        raise NotProved("makes a large tensor")
    return [np.broadcast_to(arrays[0], shape)]


Move = Callable[[Call, Sequence[Values]], list[Values]]


MOVES: Final[dict[str, Move]] = {
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Gather": _gather,
    "Identity": _identity,
    "Range": _range,
    "ReduceProd": _total,
    "ReduceSum": _total,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
