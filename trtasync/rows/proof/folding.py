"""Small tensors whose elements are known: constants, and the arithmetic of shapes.

All operators here work element by element or move elements, so arrays of `Size` objects go through
numpy like numbers. What has no polynomial becomes an atom: equal to itself, and to nothing else.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from trtasync.rows.proof.calls import MOST_ELEMENTS, Call, normalized
from trtasync.rows.proof.sizes import ONE, ZERO, Size, Symbols, product
from trtasync.rows.proof.tensors import NotProved, Tensor, Values, constant

Numeric = Callable[..., Values]


def _divide(one: Values, other: Values) -> Values:
    if one.dtype.kind == "f":
        return np.asarray(one / other)
    if not np.all(other):
        raise NotProved("divides by zero")
    quotient = np.abs(one) // np.abs(other)
    return np.asarray(np.where((one < 0) != (other < 0), -quotient, quotient), one.dtype)


NUMERIC: Final[dict[str, Numeric]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Neg": np.negative,
    "Abs": np.abs,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Sqrt": np.sqrt,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Not": np.logical_not,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Min": lambda *arrays: np.minimum.reduce(np.broadcast_arrays(*arrays)),
    "Max": lambda *arrays: np.maximum.reduce(np.broadcast_arrays(*arrays)),
}


def folded(call: Call) -> list[Tensor] | None:
    """The outputs of a node all of whose inputs are small and known, or None."""
    if call.operator == "Shape":
        return [_shape(call)]
    if call.operator == "Size" and (tensor := call.raw(0)).shape is not None:
        return [constant(_plain(_objects([product(tensor.shape)], ())))]
    moved = MOVES.get(call.operator)
    if moved is None and call.operator not in NUMERIC and call.operator != "Where":
        return None
    arrays = _known(call)
    if arrays is None:
        return None
    if moved is not None:
        results = moved(call, arrays)
    elif all(array.dtype != object for array in arrays) and call.operator != "Where":
        with np.errstate(all="ignore"):
            results = [np.asarray(NUMERIC[call.operator](*arrays))]
    else:
        results = [_elementwise(call, arrays)]
    if any(array.size > MOST_ELEMENTS for array in results):
        return None
    return [constant(_plain(array)) for array in results]


def _known(call: Call) -> list[Values] | None:
    """The elements of all inputs. Beside known ones an unknown element is an atom."""
    tensors = [tensor for tensor in call.inputs if tensor is not None]
    if len(tensors) != len(call.inputs) or all(tensor.values is None for tensor in tensors):
        return None
    arrays = []
    for tensor in tensors:
        array = tensor.values
        if array is None and (call.operator in NUMERIC or call.operator in ("Concat", "Where")):
            array = _unknown(tensor, call.symbols)
        if array is None:
            return None
        arrays.append(array)
    return arrays


def _unknown(tensor: Tensor, symbols: Symbols) -> Values | None:
    if tensor.layout is not None or tensor.shape is None:
        return None
    shape = [size.number for size in tensor.shape]
    known = [length for length in shape if length is not None]
    count = int(np.prod(known, dtype=float))
    if len(known) != len(shape) or count > MOST_ELEMENTS:
        return None
    atoms = [symbols.fresh(least=None, exact=False) for _ in range(count)]
    return _objects(atoms, tuple(known))


def _objects(sizes: Sequence[Size], shape: tuple[int, ...]) -> Values:
    array = np.empty(len(sizes), object)
    for index, size in enumerate(sizes):
        array[index] = size
    return array.reshape(shape)


def _plain(array: Values) -> Values:
    """Numbers where all elements are."""
    if array.dtype != object:
        return array
    numbers = [size.number for size in array.flat]
    if None in numbers:
        return array
    return np.array(numbers, np.int64).reshape(array.shape)


def _symbolic(array: Values) -> Values:
    if array.dtype == object:
        return array
    if array.dtype.kind not in "iub":
        raise NotProved("mixes lengths with what is none")
    return _objects([Size.of(int(number)) for number in array.flat], array.shape)


# ------------------------------------------------------------------------- element by element


def _elementwise(call: Call, arrays: Sequence[Values]) -> Values:
    operator, symbols = call.operator, call.symbols
    if any(array.dtype.kind == "f" for array in arrays):
        arrays = [_inexact(array, symbols) for array in arrays]
    else:
        arrays = [_symbolic(array) for array in arrays]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    if np.prod(shape, dtype=float) > MOST_ELEMENTS:
        raise NotProved("makes a large tensor from lengths")
    flat = [np.broadcast_to(array, shape).reshape(-1) for array in arrays]
    return _objects([_one(operator, each, symbols) for each in zip(*flat, strict=True)], shape)


def _inexact(array: Values, symbols: Symbols) -> Values:
    """Floats among lengths: known by their bits, and nothing is computed from them."""
    if array.dtype == object:
        return array
    return _objects(
        [symbols.result(f"float {value!r}", exact=False) for value in array.flat], array.shape
    )


def _one(operator: str, of: tuple[Size, ...], symbols: Symbols) -> Size:
    if operator == "Where":
        condition, one, other = of
        return _where(condition, one, other, symbols)
    exact = all(size.exact for size in of)
    if exact and (known := _exactly(operator, *of)) is not None:
        return known
    if exact and operator == "Div" and (by := of[1].number) is not None and by > 0:
        least = of[0].least
        if least is not None and least >= 0:
            return symbols.quotient(of[0], by)
    return symbols.result(operator, *of, exact=operator in _COMPARISONS)


def _where(condition: Size, one: Size, other: Size, symbols: Symbols) -> Size:
    chosen = condition.number
    if chosen is not None:
        return one if chosen else other
    if one == other and not condition.rows:
        return one
    return symbols.result("Where", condition, one, other, exact=one.exact and other.exact)


_COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "And", "Or")


def _exactly(operator: str, one: Size, *more: Size) -> Size | None:
    """The result of an operation on whole numbers as a polynomial, if it has one."""
    if operator == "Neg":
        return -one
    if operator == "Not":
        return None if one.number is None else Size.of(not one.number)
    if operator == "Abs":
        return one if _is_at_least(one, ZERO) else None
    if operator in ("Min", "Max"):
        return _extreme(operator, (one, *more))
    if len(more) != 1:
        return None
    [other] = more
    match operator:
        case "Add":
            return one + other
        case "Sub":
            return one - other
        case "Mul":
            return one * other
        case "Div":
            return one.divided_by(other)
    return _compared(operator, one, other)


def _extreme(operator: str, sizes: Sequence[Size]) -> Size | None:
    for size in sizes:
        if operator == "Max" and all(_is_at_least(size, other) for other in sizes):
            return size
        if operator == "Min" and all(_is_at_least(other, size) for other in sizes):
            return size
    return None


def _compared(operator: str, one: Size, other: Size) -> Size | None:
    if operator in ("Less", "LessOrEqual"):
        swapped = "Greater" if operator == "Less" else "GreaterOrEqual"
        return _compared(swapped, other, one)
    above = _is_at_least(one, other + ONE)
    below = _is_at_least(other, one + ONE)
    match operator:
        case "Equal":
            known = True if one == other else (False if above or below else None)
        case "Greater":
            known = True if above else (False if _is_at_least(other, one) else None)
        case "GreaterOrEqual":
            known = True if _is_at_least(one, other) else (False if below else None)
        case _:
            known = None
    return None if known is None else Size.of(known)


def _is_at_least(one: Size, other: Size) -> bool:
    least = (one - other).least
    return least is not None and least >= 0


# ------------------------------------------------------------------------- elements moved


def _shape(call: Call) -> Tensor:
    shape = call.raw(0).shape
    if shape is None:
        return Tensor((call.symbols.fresh(),))
    start, end = call.integer("start", 0), call.integer("end", len(shape))
    return constant(_plain(_objects(shape[start:end], (len(shape[start:end]),))))


def _cast(call: Call, arrays: Sequence[Values]) -> list[Values]:
    from onnx import helper

    [array] = arrays
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(call.integer("to", 0)))
    if dtype.kind not in "iufb":
        raise NotProved("casts to a type that is not followed")
    if array.dtype != object:
        if array.dtype.kind == "f" and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if not np.all((array > limits.min // 2) & (array < limits.max // 2)):
                raise NotProved("casts a number for which there is no room")
        return [np.asarray(array.astype(dtype))]
    return [_objects([_cast_one(size, dtype, call) for size in array.flat], array.shape)]


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
    return [_objects([picked], ()) if isinstance(picked, Size) else np.asarray(picked)]


def _numbers(array: Values) -> Values:
    if array.dtype == object:
        raise NotProved("picks by an index that is not known")
    return array


def _concat(call: Call, arrays: Sequence[Values]) -> list[Values]:
    if any(array.dtype == object for array in arrays):
        arrays = [_symbolic(array) for array in arrays]
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
    """ReduceProd and ReduceSum of a whole vector."""
    array = arrays[0]
    if array.ndim != 1 or array.dtype not in (np.int32, np.int64, object):
        raise NotProved("reduces what is no list of lengths")
    if len(arrays) > 1 or call.integer("noop_with_empty_axes", 0):
        axes = _numbers(arrays[1]).ravel().tolist() if len(arrays) > 1 else []
    else:
        axes = call.attributes.get("axes", [0])
    if list(axes) not in ([0], [-1]):
        raise NotProved("reduces along axes that are not followed")
    sizes = _symbolic(array)
    if not all(size.exact for size in sizes.flat):
        raise NotProved("reduces what was no whole number")
    total = ONE if call.operator == "ReduceProd" else ZERO
    for size in sizes:
        total = total * size if call.operator == "ReduceProd" else total + size
    return [_objects([total], (1,) if call.integer("keepdims", 1) else ())]


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
    if np.prod(lengths, dtype=float) > MOST_ELEMENTS:
        raise NotProved("makes a large tensor")
    value = call.attributes.get("value")
    element = np.float32(0) if value is None else numpy_helper.to_array(value).ravel()[0]
    return [np.full(lengths, element)]


def _range(call: Call, arrays: Sequence[Values]) -> list[Values]:
    start, limit, step = (_numbers(array).ravel()[0] for array in arrays)
    if start.dtype.kind != "i" or step == 0 or abs(int(limit) - int(start)) > MOST_ELEMENTS:
        raise NotProved("counts further than is followed")
    return [np.arange(start, limit, step, dtype=start.dtype)]


def _expand(call: Call, arrays: Sequence[Values]) -> list[Values]:
    target = _numbers(arrays[1]).ravel().tolist()
    shape = np.broadcast_shapes(arrays[0].shape, tuple(target))
    if np.prod(shape, dtype=float) > MOST_ELEMENTS:
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
