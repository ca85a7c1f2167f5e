"""Steps that draw numbers: the same inputs give other values."""

import numpy as np

from tests.rows.graphs.builder import Builder
from tests.rows.graphs.values import Value, ingredient


@ingredient("random")
def noise_added(g: Builder, x: Value) -> Value | None:
    if g.opset >= 22:  # ONNX Runtime 1.32 has neither
        return None
    op = g.chance.choice(["RandomNormalLike", "RandomUniformLike"])
    return g.add("Add", x, g.add(op, x))


@ingredient("random")
def dropout_of_training(g: Builder, x: Value) -> Value | None:
    if g.opset < 12:
        return None
    return g.add("Dropout", x, np.float32(0.5), np.bool_(True))


@ingredient("random")
def coins(g: Builder, x: Value) -> Value | None:
    if not 15 <= g.opset < 22:
        return None
    return g.add("Mul", x, g.add("Bernoulli", g.add("Sigmoid", x)))
