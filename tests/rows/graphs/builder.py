"""Writes nodes, and carries along what is known of each value."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from tests.rows.graphs.values import FLOAT, ROWS, Shape, Value

Array = npt.NDArray[Any]
Operand = Value | Array | np.generic | float | None
"""What a node reads: a value, a constant, or nothing."""

INT64 = np.dtype(np.int64)
BOOL = np.dtype(np.bool_)


class Builder:
    """A graph, or the body of an If, Loop or Scan, that grows node by node.

    Attributes:
        chance: every decision comes from here, so that a seed says all.
        opset: of the default domain.
        nodes: so far.
        initializers: so far; a body keeps its constants in nodes.
        pool: the values that further steps may read.
        shared: inputs without rows.
    """

    def __init__(self, chance: random.Random, opset: int, outer: "Builder | None" = None) -> None:
        self.chance = chance
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.pool: list[Value] = []
        self.shared: list[Value] = []
        self._outer = outer
        self._names = 0

    def name(self, stem: str) -> str:
        """A new one."""
        if self._outer is not None:
            return self._outer.name(stem)
        self._names += 1
        return f"{stem.lower()}_{self._names}"

    def inner(self) -> "Builder":
        """For the body of an If, Loop or Scan; it may read the values of this graph."""
        body = Builder(self.chance, self.opset, self)
        body.pool, body.shared = self.pool, self.shared
        return body

    # ------------------------------------------------------------------------------ constants

    def weights(self, *shape: int, scale: float = 1.0) -> Array:
        """Normally distributed."""
        count = int(np.prod(shape))
        drawn = [self.chance.gauss(0, scale) for _ in range(count)]
        return np.array(drawn, np.float32).reshape(shape)

    def constant(self, array: npt.ArrayLike, dtype: Any = None) -> str:
        """Kept as an initializer or as a node, as exporters do either."""
        name = self.name("const")
        tensor = numpy_helper.from_array(np.asarray(array, dtype), name)
        if self._outer is not None or self.chance.random() < 0.3:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.initializers.append(tensor)
        return name

    # ---------------------------------------------------------------------------------- nodes

    def many(
        self,
        op: str,
        *operands: Operand,
        shapes: Sequence[Shape | None],
        dtypes: Sequence[Any] = (),
        **attributes: Any,
    ) -> list[Value]:
        """A node with several outputs; one whose shape is None is left out."""
        values = [operand for operand in operands if isinstance(operand, Value)]
        names = ["" if shape is None else self.name(op) for shape in shapes]
        inputs = [self._operand(operand) for operand in operands]
        self.nodes.append(helper.make_node(op, inputs, names, **attributes))
        coupled = any(value.coupled for value in values)
        noisy = any(value.random for value in values)
        kinds = [np.dtype(kind) for kind in dtypes] or [values[0].dtype if values else FLOAT] * len(
            names
        )
        return [
            Value(name, shape or (), kind, coupled, noisy)
            for name, shape, kind in zip(names, shapes, kinds, strict=True)
        ]

    def add(
        self,
        op: str,
        *operands: Operand,
        shape: Shape | None = None,
        dtype: Any = None,
        **attributes: Any,
    ) -> Value:
        """A node with one output, which has the shape and dtype of the first value it reads."""
        first = next((operand for operand in operands if isinstance(operand, Value)), None)
        if shape is None:
            assert first is not None, "of which shape?"
            shape = first.shape
        kinds = () if dtype is None else (dtype,)
        (made,) = self.many(op, *operands, shapes=[shape], dtypes=kinds, **attributes)
        return made

    def _operand(self, operand: Operand) -> str:
        if operand is None:
            return ""
        if isinstance(operand, Value):
            return operand.name
        if isinstance(operand, float | int):
            return self.constant(operand, np.float32)
        return self.constant(operand)

    # -------------------------------------------------------------------- what many steps need

    def cast(self, value: Value, dtype: Any) -> Value:
        """To another type of element."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", value, to=to, dtype=dtype)

    def transpose(self, value: Value, perm: Sequence[int]) -> Value:
        """Axes in another order."""
        shape = tuple(value.shape[axis] for axis in perm)
        return self.add("Transpose", value, shape=shape, perm=list(perm))

    def rows_first(self, value: Value) -> Value:
        """The batch axis moved to the front."""
        assert value.batch is not None
        if value.batch == 0:
            return value
        return self.transpose(value, [value.batch, *value.others])

    def rows_back(self, value: Value, like: Value) -> Value:
        """What `rows_first` did to a value of this shape, undone."""
        assert like.batch is not None
        if like.batch == 0:
            return value
        order = [like.batch, *like.others]
        return self.transpose(value, [order.index(axis) for axis in range(like.rank)])

    def dimension(self, value: Value, axis: int) -> Value:
        """The length of an axis, found at run time, as an array of one."""
        if self.opset >= 15 and self.chance.random() < 0.5:
            made = self.add("Shape", value, shape=(1,), dtype=INT64, start=axis, end=axis + 1)
        else:
            whole = self.add("Shape", value, shape=(value.rank,), dtype=INT64)
            made = self.add("Gather", whole, np.array([axis]), shape=(1,), axis=0)
        return Value(made.name, (1,), INT64)

    def lengths(self, shape: Shape, like: Value) -> Operand:
        """A shape as a tensor; its words are looked up in another value at run time, one that is
        not there is what remains."""
        shape = tuple(-1 if isinstance(d, str) and d not in like.shape else d for d in shape)
        if all(isinstance(dim, int) for dim in shape):
            return np.array(shape, np.int64)
        parts: list[Operand] = [
            np.array([dim], np.int64)
            if isinstance(dim, int)
            else self.dimension(like, like.shape.index(dim))
            for dim in shape
        ]
        if len(parts) == 1:
            return parts[0]
        return self.add("Concat", *parts, shape=(len(parts),), dtype=INT64, axis=0)

    def reshape(self, value: Value, shape: Shape, wanted: Shape | None = None) -> Value:
        """To a shape; by -1 or 0 where that can say it, or computed, as exporters do either.

        `wanted` says what becomes of it where that is another thing than the words of `shape`.
        """
        words = [dim for dim in shape if isinstance(dim, str)]
        if len(words) <= 1 and self.chance.random() < 0.6:
            target: Operand = np.array([-1 if isinstance(d, str) else d for d in shape], np.int64)
        else:
            target = self.lengths(shape, value)
        return self.add("Reshape", value, target, shape=wanted or shape)

    def axes(self, op: str, value: Value, axes: Sequence[int], shape: Shape, **more: Any) -> Value:
        """A node whose axes are an attribute up to some opset, and an input from it on."""
        since = 13 if op in {"ReduceSum", "Squeeze", "Unsqueeze"} else 18
        signed = [axis - value.rank if self.chance.random() < 0.3 else axis for axis in axes]
        if op == "Unsqueeze":
            signed = list(axes)
        if self.opset >= since:
            return self.add(op, value, np.array(signed, np.int64), shape=shape, **more)
        return self.add(op, value, shape=shape, axes=signed, **more)

    def unsqueeze(self, value: Value, axis: int) -> Value:
        """An axis of one more."""
        shape = (*value.shape[:axis], 1, *value.shape[axis:])
        return self.axes("Unsqueeze", value, [axis], shape)

    def squeeze(self, value: Value, axis: int) -> Value:
        """An axis of one less."""
        shape = (*value.shape[:axis], *value.shape[axis + 1 :])
        return self.axes("Squeeze", value, [axis], shape)

    def reduce(self, op: str, value: Value, axes: Sequence[int], keep: bool = True) -> Value:
        """Over some axes."""
        kept = {axis: 1 if axis in axes else dim for axis, dim in enumerate(value.shape)}
        shape = tuple(dim for axis, dim in kept.items() if keep or axis not in axes)
        return self.axes(op, value, axes, shape, keepdims=int(keep))

    def summary(self, op: str, value: Value, keep: bool = False) -> Value:
        """Over everything."""
        if self.chance.random() < 0.5:
            return self.reduce(op, value, range(value.rank), keep)
        shape = (1,) * value.rank if keep else ()
        return self.add(op, value, shape=shape, keepdims=int(keep))

    def slice(
        self, value: Value, axis: int, start: int, end: int, shape: Shape, step: int = 1
    ) -> Value:
        """Along one axis."""
        bounds = [np.array([number], np.int64) for number in (start, end, axis, step)]
        return self.add("Slice", value, *bounds, shape=shape)

    def graph(self, name: str, inputs: Sequence[Any], outputs: Sequence[Value]) -> Any:
        """What was written, as the body of an If, Loop or Scan."""
        described = [describe(value) for value in outputs]
        return helper.make_graph(self.nodes, name, list(inputs), described)


def element(dtype: Any) -> int:
    """ONNX's number for a numpy dtype."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def describe(value: Value) -> Any:
    """A value of a body, with its rank and no lengths."""
    return helper.make_tensor_value_info(value.name, element(value.dtype), [None] * value.rank)


def ends(rank: int, axis: int, before: int, after: int) -> Array:
    """How much `Pad` adds to each end of each axis."""
    pads = np.zeros((2, rank), np.int64)
    pads[0, axis], pads[1, axis] = before, after
    return pads.reshape(-1)


FLOAT_TENSOR = TensorProto.FLOAT
BACKWARD = -(2**62)
"""Where a slice with step -1 ends: before the first element."""

__all__ = [
    "BACKWARD", "BOOL", "FLOAT", "FLOAT_TENSOR", "INT64", "ROWS", "Array", "Builder", "Operand",
    "Value", "describe", "element", "ends",
]  # fmt: skip
