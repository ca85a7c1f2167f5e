"""Arithmetic with lengths, element by element.

What has no polynomial becomes an atom: equal to itself and nothing else.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from trtasync.rows.proof.calls import MOST_FOLDED, Call
from trtasync.rows.proof.sizes import ONE, ZERO, Size, Symbols
from trtasync.rows.proof.tensors import (
    NotProved,
    Values,
)

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


def elementwise(call: Call, arrays: Sequence[Values]) -> Values:
    operator, symbols = call.operator, call.symbols
    if any(array.dtype.kind == "f" for array in arrays):
        arrays = [_inexact(array, symbols) for array in arrays]
    else:
        arrays = [symbolic(array) for array in arrays]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    if math.prod(shape) > MOST_FOLDED:
        raise NotProved("makes a large tensor from lengths")
    flat = [np.broadcast_to(array, shape).reshape(-1) for array in arrays]
    return objects([_one(operator, each, symbols) for each in zip(*flat, strict=True)], shape)


def _inexact(array: Values, symbols: Symbols) -> Values:
    """Floats among lengths: identified by their bits, and not computed with."""
    if array.dtype == object:
        return array
    return objects(
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
    """The result of an operation on integers as a polynomial, if it has one."""
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


def objects(sizes: Sequence[Size], shape: tuple[int, ...]) -> Values:
    array = np.empty(len(sizes), object)
    for index, size in enumerate(sizes):
        array[index] = size
    return array.reshape(shape)


def symbolic(array: Values) -> Values:
    if array.dtype == object:
        return array
    if array.dtype.kind not in "iub":
        raise NotProved("mixes lengths with other values")
    return objects([Size.of(int(number)) for number in array.flat], array.shape)
