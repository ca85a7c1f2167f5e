"""Eight bits: with fixed scales, with one of each row, and with one found for the batch."""

import numpy as np

from tests.rows.graphs.builder import Builder, Operand
from tests.rows.graphs.values import Value, ingredient
from tests.rows.graphs.windows import picture

UINT8 = np.dtype(np.uint8)


def dynamically(g: Builder, x: Value) -> list[Value]:
    """Quantised by the smallest and largest of all: numbers, scale and zero point."""
    return g.many(
        "DynamicQuantizeLinear", x,
        shapes=[x.shape, (), ()], dtypes=[UINT8, x.dtype, UINT8],
    )  # fmt: skip


@ingredient("quantised")
def eight_bits_and_back(g: Builder, x: Value) -> Value:
    scale, zero = np.float32(0.05), np.uint8(128)
    q = g.add("QuantizeLinear", x, scale, zero, dtype=UINT8)
    # The product keeps ONNX Runtime 1.32 alive: its QDQPropagationTransformer aborts the process
    # where a dequantised value is moved and then read inside a Loop.
    return g.add("Mul", g.add("DequantizeLinear", q, scale, zero, dtype=x.dtype), 1.1)


@ingredient("quantised")
def a_scale_for_each_row(g: Builder, x: Value) -> Value | None:
    if x.rank < 2:
        return None
    top = g.reduce("ReduceMax", g.add("Abs", x), x.others)
    scale = g.add("Add", g.add("Div", top, 127.0), 1e-6)
    steps = g.add("Round", g.add("Div", x, scale, shape=x.shape))
    return g.add("Mul", steps, scale, shape=x.shape)


@ingredient("quantised")
def a_matrix_in_eight_bits(g: Builder, x: Value) -> Value | None:
    if x.rank < 2 or not isinstance(x.shape[-1], int):
        return None
    q = g.add("QuantizeLinear", x, np.float32(0.03), np.uint8(128), dtype=UINT8)
    return g.add("Mul", product(g, q, np.uint8(128)), 0.001)


@ingredient("quantised")
def dynamic_weights(g: Builder, x: Value) -> Value | None:
    """A shared input quantised by itself: no row has a part in its scale."""
    floats = [value for value in g.shared if value.dtype == x.dtype]
    if not floats:
        return None
    q, scale, zero = dynamically(g, g.chance.choice(floats))
    factor = g.add("DequantizeLinear", q, scale, zero, dtype=x.dtype)
    return g.add("Mul", x, factor)


def product(g: Builder, q: Value, zero: Operand) -> Value:
    """With a matrix of eight bits, as floats."""
    width = q.length(-1)
    matrix = np.clip(np.round(g.weights(width, 4) * 40), -127, 127).astype(np.int8)
    y = g.add(
        "MatMulInteger", q, matrix, zero, np.int8(0),
        shape=q.resized(-1, 4), dtype=np.int32,
    )  # fmt: skip
    return g.cast(y, np.float32)


@ingredient("quantised", couples=True)
def dynamically_and_back(g: Builder, x: Value) -> Value:
    q, scale, zero = dynamically(g, x)
    return g.add("DequantizeLinear", q, scale, zero, dtype=x.dtype)


@ingredient("quantised", couples=True)
def a_matrix_dynamically(g: Builder, x: Value) -> Value | None:
    """What `quantize_dynamic` makes of a MatMul."""
    if x.rank < 2 or not isinstance(x.shape[-1], int):
        return None
    q, scale, zero = dynamically(g, x)
    y = product(g, q, zero)
    return g.add("Mul", y, g.add("Mul", scale, 0.03), shape=y.shape)


@ingredient("quantised", couples=True)
def a_convolution_dynamically(g: Builder, x: Value) -> Value | None:
    p = picture(g, x)
    if p is None:
        return None
    q, scale, zero = dynamically(g, p)
    spatial, channels = p.rank - 2, p.length(1)
    w = np.clip(np.round(g.weights(2, channels, *[3] * spatial) * 40), 0, 127).astype(np.uint8)
    y = g.add(
        "ConvInteger", q, w, zero, shape=p.resized(1, 2), dtype=np.int32, pads=[1] * 2 * spatial
    )
    return g.add("Mul", g.cast(y, np.float32), g.add("Mul", scale, 0.03), shape=y.shape)


@ingredient("quantised", couples=True)
def the_scale_alone(g: Builder, x: Value) -> Value:
    """What a row is divided by comes from all rows; the rest of the quantisation does not."""
    _, scale, _ = dynamically(g, x)
    return g.add("Add", x, g.add("Mul", scale, 3.0), shape=x.shape)
