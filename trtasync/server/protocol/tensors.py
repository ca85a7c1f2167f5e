"""A model's tensors in the protocol's terms, and arrays from the bytes of requests."""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from trtasync.errors import TrtasyncError
from trtasync.model.arrays import Array, Shape
from trtasync.model.tensors import TensorSpec
from trtasync.server.protocol import numbers
from trtasync.server.protocol.datatypes import NOT_IN_JSON, datatype_of, json_decoder
from trtasync.server.protocol.refusals import Refusal

DType = np.dtype[Any]
Bytes = bytes | bytearray | memoryview

COPIED = 4096
"""Up to this many bytes, copying is faster than making a view."""

_NESTED = re.compile(rb"\s*\[\s*\[")


class Tensor(NamedTuple):
    """One input or output of a model.

    Attributes:
        name: in the model.
        datatype: the protocol's name of its dtype.
        dtype: numpy's, native: the protocol is little-endian, and so is every machine it runs on.
        shape: with the batch axis; -1 where it may vary.
        batch_axis: the axis along which rows lie; None without rows.
        is_shape_tensor: its values shape the batch (TensorRT).
    """

    name: str
    datatype: str
    dtype: DType
    shape: Shape
    batch_axis: int | None
    is_shape_tensor: bool

    @classmethod
    def of(cls, spec: TensorSpec) -> "Tensor":
        """A tensor as an engine declares it. Raises PlanError if the protocol lacks its dtype."""
        shape = tuple(dim if isinstance(dim, int) else -1 for dim in spec.shape)
        return cls(spec.name, datatype_of(spec), spec.dtype, shape, spec.batch_axis, spec.host)

    @property
    def goes_as_json(self) -> bool:
        """Whether the protocol has a JSON form of its elements."""
        return self.datatype not in NOT_IN_JSON


class Interface:
    """What a model takes and gives.

    Attributes:
        inputs: by name, in the model's order.
        outputs: by name, in the model's order.
        takes_batches: rows lie along axis 0 of every tensor, which may be of any length.
        sole: the only input of a model that takes batches; None for any other model.
    """

    def __init__(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]):
        """Raises PlanError if the protocol has no name for a tensor's dtype."""
        self.inputs: dict[str, Tensor] = {spec.name: Tensor.of(spec) for spec in inputs}
        self.outputs: dict[str, Tensor] = {spec.name: Tensor.of(spec) for spec in outputs}
        self.takes_batches: bool = all(
            tensor.batch_axis == 0 and tensor.shape[0] == -1
            for tensor in (*self.inputs.values(), *self.outputs.values())
        )
        first = list(self.inputs.values())
        self.sole: Tensor | None = first[0] if self.takes_batches and len(first) == 1 else None


def from_json(tensor: Tensor, shape: Shape, data: Bytes) -> Array:
    """The array that JSON data holds, flat or nested as its shape says.

    Raises:
        Refusal: an element is none of this datatype, or there are not as many as the shape says.
    """
    if not tensor.goes_as_json:
        raise Refusal(
            f"input '{tensor.name}' is {tensor.datatype}, which JSON cannot carry; send it as "
            "binary data."
        )
    nested = _NESTED.match(data) is not None
    depth = max(1, len(shape)) if nested else 1
    try:
        with np.errstate(over="ignore"):
            if len(data) > numbers.PIECE:
                array = _in_pieces(tensor, shape if nested else (math.prod(shape),), bytes(data))
            else:
                elements = json_decoder(tensor.datatype, depth).decode(data)
                array = np.array(elements, dtype=tensor.dtype)
    except (msgspec.MsgspecError, OverflowError) as error:
        raise Refusal(f"data of input '{tensor.name}' ({tensor.datatype}): {error}.") from None
    except ValueError:  # lists of different lengths beside each other
        raise _not_as_many(tensor, shape, "lists of uneven length") from None
    if array.shape != shape if nested else array.size != math.prod(shape):
        raise _not_as_many(
            tensor,
            shape,
            f"lists of shape {list(array.shape)}" if nested else f"{array.size} elements",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Refusal(
            f"data of input '{tensor.name}' holds a number that is too large for {tensor.datatype}."
        )
    return array.reshape(shape)


def _in_pieces(tensor: Tensor, shape: Shape, data: bytes) -> Array:
    if not numbers.is_of_shape(data, shape):
        raise _not_as_many(tensor, shape, "others")
    return numbers.read(data, json_decoder(tensor.datatype, 1), tensor.dtype).reshape(shape)


def _not_as_many(tensor: Tensor, shape: Shape, came: str) -> Refusal:
    return Refusal(
        f"data of input '{tensor.name}' must be {math.prod(shape)} elements, flat or in lists of "
        f"shape {list(shape)}, not {came}."
    )


def from_binary(tensor: Tensor, shape: Shape, data: Bytes, start: int) -> Array:
    """The array that lies in `data` from byte `start` on: a view, perhaps unaligned.

    Raises:
        Refusal: it is BOOL, and one of its bytes is neither 0 nor 1.
    """
    count = math.prod(shape)
    array: Array = np.frombuffer(data, tensor.dtype, count, start if count else 0).reshape(shape)
    if tensor.datatype == "BOOL" and array.view(np.uint8).max(initial=0) > 1:
        raise Refusal(f"input '{tensor.name}' is BOOL; its bytes must be 0 or 1.")
    return array


def to_binary(array: Array) -> Bytes:
    """The bytes of an array in C order; if it is large and lies so, its own memory."""
    if array.nbytes <= COPIED:
        return array.tobytes()
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def to_json(tensor: Tensor, array: Array) -> bytes:
    """The elements of an array as a flat list.

    Raises:
        Refusal: one of them is no number.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Refusal(
            f"output '{tensor.name}' holds NaN or infinity, which JSON has no number for; ask for "
            'it as binary data ("binary_data": true).'
        )
    return numbers.write(array.reshape(-1))


def check_output(tensor: Tensor, array: Array) -> None:
    """Check that an array has the dtype that the model declares, and that answers tell.

    Raises:
        TrtasyncError: the array is of another dtype.
    """
    if array.dtype != tensor.dtype:
        raise TrtasyncError(
            f"output '{tensor.name}' came as {array.dtype}, and the model declares {tensor.dtype}."
        )
