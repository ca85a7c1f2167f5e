"""Small tensors whose elements are known: constants and what is computed from shapes."""

import math

import numpy as np

from trtasync.rows.proof.arithmetic import NUMERIC, elementwise, objects
from trtasync.rows.proof.calls import MOST_FOLDED, Call
from trtasync.rows.proof.moving import MOVES
from trtasync.rows.proof.sizes import Symbols, product
from trtasync.rows.proof.tensors import Tensor, Values, constant


def folded(call: Call) -> list[Tensor] | None:
    """Compute the outputs of a node whose inputs are all small and known; None for others."""
    if call.operator == "Shape":
        return [_shape(call)]
    if call.operator == "Size" and (tensor := call.raw(0)).shape is not None:
        return [constant(_plain(objects([product(tensor.shape)], ())))]
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
        results = [elementwise(call, arrays)]
    if any(array.size > MOST_FOLDED for array in results):
        return None
    return [constant(_plain(array)) for array in results]


def _known(call: Call) -> list[Values] | None:
    """The elements of all inputs. Among known ones, an unknown element is an atom."""
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
    count = math.prod(known)
    if len(known) != len(shape) or count > MOST_FOLDED:
        return None
    atoms = [symbols.fresh(least=None, exact=False) for _ in range(count)]
    return objects(atoms, tuple(known))


def _plain(array: Values) -> Values:
    """Plain numbers, if all elements are numbers."""
    if array.dtype != object:
        return array
    numbers = [size.number for size in array.flat]
    if None in numbers:
        return array
    return np.array(numbers, np.int64).reshape(array.shape)


def _shape(call: Call) -> Tensor:
    shape = call.raw(0).shape
    if shape is None:
        return Tensor((call.symbols.fresh(),))
    start, end = call.integer("start", 0), call.integer("end", len(shape))
    return constant(_plain(objects(shape[start:end], (len(shape[start:end]),))))
