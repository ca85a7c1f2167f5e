"""Random nodes: elements by themselves."""

import numpy as np

from tests.rows.making import Case, Chance, maker, one_of, shape_with_rows
from tests.rows.onnx_graphs import node


@maker
def unary(chance: Chance) -> Case:
    operator = one_of(
        chance, ["Relu", "Sigmoid", "Exp", "Neg", "Identity", "Softplus", "HardSwish"]
    )
    shape = shape_with_rows(chance, chance.randint(1, 4))
    return Case([node(operator, "x", "y")], {"x": ("f", shape)})


@maker
def binary(chance: Chance) -> Case:
    operator = one_of(chance, ["Add", "Mul", "Sub", "Max", "Pow", "PRelu"])
    one = shape_with_rows(chance, chance.randint(1, 4))
    other = [one_of(chance, [1, size]) for size in one][chance.randint(0, 1) :]
    if chance.random() < 0.3:
        other = shape_with_rows(chance, chance.randint(1, 3))
    nodes = [node(operator, "x w", "y")]
    return Case(nodes, {"x": ("f", one), "w": ("f", other)})


@maker
def where(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 3)
    other = [one_of(chance, [1, size]) for size in shape]
    return Case(
        [node("Where", "c x w", "y")],
        {"c": ("b", shape), "x": ("f", other), "w": ("f", shape[chance.randint(0, 2) :])},
    )


@maker
def quantized(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 2)
    scale = np.array(0.1, np.float32) if chance.random() < 0.5 else np.full(3, 0.1, np.float32)
    zero = np.zeros(scale.shape, np.uint8)
    nodes = [
        node("QuantizeLinear", "x s z", "q", axis=chance.randint(0, 1)),
        node("DequantizeLinear", "q s z", "y", axis=1),
    ]
    return Case(nodes, {"x": ("f", shape)}, {"s": scale, "z": zero})


@maker
def dynamically_quantized(chance: Chance) -> Case:
    shape = shape_with_rows(chance, 2, axis=0)
    return Case([node("DynamicQuantizeLinear", "x", "y y2 y3")], {"x": ("f", shape)}, {}, "y y2 y3")
