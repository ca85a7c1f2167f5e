"""Steps that treat every element by itself, and some that only look like it."""

import numpy as np
from onnx import TensorProto, helper

from tests.rows.graphs.builder import BOOL, INT64, Builder, Operand
from tests.rows.graphs.values import ROWS, Value, ingredient

UNARY = [
    "Abs", "Neg", "Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Erf", "Sin", "Cos", "Atan",
    "Elu", "Selu", "LeakyRelu", "Identity", "HardSigmoid", "Floor", "Ceil", "Round", "Sign",
    "ThresholdedRelu", "Asinh", "Celu", "HardSwish", "Mish", "Gelu",
]  # fmt: skip
SINCE = {"Celu": 12, "HardSwish": 14, "Mish": 18, "Gelu": 20}
COARSE = {"Floor", "Ceil", "Round", "Sign", "ThresholdedRelu"}


def partner(g: Builder, x: Value) -> Value | None:
    """Another value of the same shape."""
    same = [v for v in g.pool if v.shape == x.shape and v.dtype == x.dtype and v.name != x.name]
    return g.chance.choice(same) if same else None


def trailing(g: Builder, x: Value) -> Operand:
    """A constant that broadcasts against the last axis."""
    if isinstance(x.shape[-1], int) and g.chance.random() < 0.7:
        return g.weights(x.length(-1))
    return float(g.chance.gauss(0, 1))


@ingredient("element-wise")
def unary(g: Builder, x: Value) -> Value | None:
    op = g.chance.choice([op for op in UNARY if g.opset >= SINCE.get(op, 0)])
    if op in COARSE and g.chance.random() < 0.6:
        return None
    return g.add(op, x)


@ingredient("element-wise")
def arithmetic_with_a_constant(g: Builder, x: Value) -> Value:
    return g.add(g.chance.choice(["Add", "Sub", "Mul", "Max", "Min"]), x, trailing(g, x))


@ingredient("element-wise")
def arithmetic_of_two(g: Builder, x: Value) -> Value | None:
    y = partner(g, x)
    if y is None:
        return None
    return g.add(g.chance.choice(["Add", "Sub", "Mul", "Max", "Min", "Mean", "Sum"]), x, y)


@ingredient("element-wise")
def arithmetic_with_a_shared_input(g: Builder, x: Value) -> Value | None:
    floats = [value for value in g.shared if value.dtype == x.dtype]
    if not floats:
        return None
    return g.add(g.chance.choice(["Add", "Mul"]), x, g.chance.choice(floats))


@ingredient("element-wise")
def a_choice_by_its_own_value(g: Builder, x: Value) -> Value:
    high = g.add("Greater", x, float(g.chance.gauss(0, 0.3)), dtype=BOOL)
    return g.add("Where", high, x, g.add("Mul", x, 0.1), shape=x.shape, dtype=x.dtype)


@ingredient("element-wise")
def a_choice_by_a_constant(g: Builder, x: Value) -> Value | None:
    if not isinstance(x.shape[-1], int) or x.rank < 2:
        return None
    pattern = np.arange(x.length(-1)) % 2 == 0
    return g.add("Where", pattern, x, 0.5, shape=x.shape, dtype=x.dtype)


@ingredient("element-wise")
def clipping(g: Builder, x: Value) -> Value:
    return g.add("Clip", x, -1.5, 1.5)


@ingredient("element-wise")
def another_precision(g: Builder, x: Value) -> Value:
    there = g.cast(x, g.chance.choice([np.float16, np.float64]))
    return g.cast(there, np.float32)


@ingredient("element-wise")
def slopes(g: Builder, x: Value) -> Value:
    return g.add("PRelu", x, trailing(g, x))


@ingredient("element-wise")
def logic(g: Builder, x: Value) -> Value:
    some = g.add("Less", x, 0.5, dtype=BOOL)
    more = g.add("Greater", g.add("Abs", x), 0.2, dtype=BOOL)
    both = g.add(g.chance.choice(["And", "Or", "Xor"]), some, more)
    return g.add("Mul", g.cast(both, np.float32), x)


@ingredient("element-wise")
def dropout_of_inference(g: Builder, x: Value) -> Value:
    if g.opset >= 12 and g.chance.random() < 0.5:
        return g.add("Dropout", x, np.float32(0.5), np.bool_(False))
    return g.add("Dropout", x)


@ingredient("element-wise")
def zeros_of_the_same_shape(g: Builder, x: Value) -> Value:
    """Added to it, as exporters write a default."""
    shape = g.add("Shape", x, shape=(x.rank,), dtype=INT64)
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.25])
    quarter = g.add("ConstantOfShape", shape, shape=x.shape, dtype=np.float32, value=value)
    return g.add("Add", x, quarter)


@ingredient("element-wise")
def a_constant_spread_over_the_rows(g: Builder, x: Value) -> Value | None:
    """Like a class token: the same row for all."""
    if has_free_axes(x):
        return None
    row = tuple(1 if dim == ROWS else dim for dim in x.shape)
    token = g.weights(*(int(dim) for dim in row))
    wide = g.add("Expand", token, g.lengths(x.shape, x), shape=x.shape, dtype=np.float32)
    return g.add("Mul", x, wide)


def has_free_axes(x: Value) -> bool:
    return len(x.fixed) != x.rank - 1


# ------------------------------------------------------------------------------- place and number


@ingredient("place", couples=True)
def adding_the_number_of_the_row(g: Builder, x: Value) -> Value:
    """An encoding of positions along the wrong axis."""
    assert x.batch is not None
    count = g.squeeze(g.dimension(x, x.batch), 0)
    zero, one = np.int64(0), np.int64(1)
    numbers = g.add("Range", zero, count, one, shape=(ROWS,), dtype=INT64)
    column = g.reshape(g.cast(numbers, np.float32), (ROWS, *[1] * (x.rank - 1 - x.batch)))
    return g.add("Add", x, g.add("Mul", column, 0.3))


@ingredient("place", couples=True)
def dividing_by_the_number_of_rows(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    return g.add("Div", x, g.cast(g.dimension(x, x.batch), np.float32))


@ingredient("place", couples=True)
def another_answer_for_more_rows(g: Builder, x: Value) -> Value:
    assert x.batch is not None
    limit = np.array([g.chance.choice([3, 3, 16])], np.int64)
    many = g.add("Greater", g.dimension(x, x.batch), limit, dtype=BOOL)
    return g.add("Where", many, g.add("Neg", x), x, shape=x.shape, dtype=x.dtype)


@ingredient("place", couples=True)
def a_diagonal_of_ones(g: Builder, x: Value) -> Value | None:
    if x.rank != 2:
        return None
    return g.add("Add", x, g.add("EyeLike", x, k=g.chance.choice([0, 0, 1])))


@ingredient("place", couples=True)
def a_triangle_over_the_batch(g: Builder, x: Value) -> Value | None:
    if g.opset < 14 or x.rank < 2 or x.batch is None or x.batch < x.rank - 2:
        return None
    return g.add("Trilu", x, upper=g.chance.choice([0, 1]))


@ingredient("place", couples=True)
def another_first_row(g: Builder, x: Value) -> Value | None:
    """Overwritten by a constant."""
    first = g.rows_first(x)
    if has_free_axes(first) or g.opset < 11:
        return None
    row = g.weights(1, *(first.length(axis) for axis in range(1, first.rank)))
    return g.rows_back(g.add("ScatterND", first, np.array([[0]]), row), x)


@ingredient("place", couples=True)
def counting_rows_by_a_running_sum(g: Builder, x: Value) -> Value:
    """Ones added up along the batch."""
    assert x.batch is not None
    ones = g.add("Exp", g.add("Mul", g.add("Sign", x), 0.0))
    count = g.add("CumSum", ones, np.array(x.batch, np.int64))
    return g.add("Add", x, g.add("Mul", count, 0.3))


@ingredient("place", couples=True)
def no_axis_of_one(g: Builder, x: Value) -> Value | None:
    """`Squeeze` without axes: one row alone loses its batch axis."""
    if 1 in x.shape or x.rank < 2:
        return None
    return g.add("Squeeze", x)
