"""The inputs of a random graph: several with rows, some shared, in the layouts that models have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.rows.graphs.builder import INT64, Array, Builder
from tests.rows.graphs.values import FREE, ROWS, Shape, Value

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
"""Ordinary values of a shape."""

LAYOUTS: list[Shape] = [
    (ROWS, 6),
    (ROWS, 5, 4),
    (ROWS, FREE, 4),
    (ROWS, 4, FREE),
    (ROWS, 4, 5, 6),
    (ROWS, 3, 8, 8),
    (ROWS,),
    (ROWS, 1),
    (ROWS, 2, 3, 2, 4),
    (5, ROWS, 4),
    (2, ROWS, 3),
    (FREE, ROWS, 4),
    (6, ROWS),
    (3, 4, ROWS),
    (3, 2, ROWS, 4),
]
USUAL = 9
"""So many of them have their rows first; those are taken more often."""

STEPS: list[Shape] = [(ROWS, 6), (ROWS, FREE)]
TOKENS = 128


@dataclass(frozen=True)
class GraphInput:
    """One input of a random graph.

    Attributes:
        value: its name, shape and dtype.
        draw: ordinary values for it.
    """

    value: Value
    draw: Draw

    @property
    def name(self) -> str:
        return self.value.name

    @property
    def batch_axis(self) -> int | None:
        """None where all rows share it."""
        return self.value.batch

    def shape(self, rows: int, free: int) -> tuple[int, ...]:
        """With so many rows, and its free axis so long."""
        lengths = {ROWS: rows, FREE: free}
        return tuple(lengths[dim] if isinstance(dim, str) else dim for dim in self.value.shape)


def draw_inputs(g: Builder) -> list[GraphInput]:
    """One to three inputs with rows, up to two without; enters their values into the pool."""
    count = g.chance.choice([1, 1, 1, 2, 2, 3])
    shape = g.chance.choice(LAYOUTS[:USUAL] if g.chance.random() < 0.65 else LAYOUTS)
    inputs = [_shared(g) for _ in range(g.chance.choice([0, 0, 0, 1, 1, 2]))]
    for number in range(count):
        again = number and g.chance.random() < 0.5
        inputs.append(_rows(g, shape if again or not number else g.chance.choice(LAYOUTS)))
    g.chance.shuffle(inputs)
    return inputs


def _rows(g: Builder, shape: Shape) -> GraphInput:
    kind = g.chance.random()
    if kind < 0.08:
        return _tokens(g)
    if kind < 0.14:
        return _mask(g)
    dtype = g.chance.choice([np.float16, np.float64]) if kind < 0.25 else np.float32
    value = Value(g.name("x"), shape, np.dtype(dtype))
    g.pool.append(value if value.dtype == np.float32 else g.cast(value, np.float32))
    return GraphInput(value, lambda chance, of: chance.normal(size=of).astype(dtype))


def _tokens(g: Builder) -> GraphInput:
    value = Value(g.name("input_ids"), g.chance.choice(STEPS), INT64)
    table = g.weights(TOKENS, 4)
    g.pool.append(g.add("Gather", table, value, shape=(*value.shape, 4), dtype=np.float32, axis=0))
    return GraphInput(value, lambda chance, of: chance.integers(0, TOKENS, of))


def _mask(g: Builder) -> GraphInput:
    dtype: Any = g.chance.choice([np.bool_, np.int64])
    value = Value(g.name("mask"), g.chance.choice(STEPS), np.dtype(dtype))
    g.pool.append(g.cast(value, np.float32))
    return GraphInput(value, lambda chance, of: (chance.random(of) < 0.7).astype(dtype))


def _shared(g: Builder) -> GraphInput:
    name, dtype, draw = g.chance.choice(
        [
            ("scale", np.float32, lambda chance, of: chance.normal(size=of).astype(np.float32)),
            ("sr", np.int64, lambda chance, of: np.full(of, chance.choice([8000, 16000]))),
            ("steps", np.int64, lambda chance, of: chance.integers(1, 8, of)),
        ]
    )
    shape: Shape = g.chance.choice([(), (1,)]) if name == "scale" else ()
    value = Value(g.name(name), shape, np.dtype(dtype))
    g.shared.append(value)
    return GraphInput(value, draw)


__all__ = ["GraphInput", "draw_inputs"]
