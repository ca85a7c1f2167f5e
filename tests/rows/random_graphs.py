"""Random ONNX models of which it is known, output by output, whether their rows are independent.

The same seed gives the same model. What is known follows from how a model was put together;
`tests.rows.truth` holds it against what the model does.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import helper

from tests.rows.graphs import (
    attention,
    control,
    elementwise,
    indexing,
    matrices,
    moves,
    norms,
    quantized,
    randomness,
    recurrent,
    reductions,
    windows,
)
from tests.rows.graphs.builder import Builder
from tests.rows.graphs.disguises import disguise
from tests.rows.graphs.inputs import GraphInput, draw_inputs
from tests.rows.graphs.naming import Naming
from tests.rows.graphs.values import INGREDIENTS, Ingredient, Value

__all__ = ["RandomGraph", "graph_of", "random_graph"]

FAMILIES = (
    attention, control, elementwise, indexing, matrices, moves, norms, quantized, randomness,
    recurrent, reductions, windows,
)  # fmt: skip
"""Importing them fills the list of ingredients."""

OPSETS = [11, 12, 13, 14, 16, 17, 18, 20, 21, 22, 23]
DEEPEST = 12
LARGEST = 2048
"""Elements of a row, above which no further step is taken with a value."""


@dataclass(frozen=True)
class RandomGraph:
    """A model and what is known of it.

    Attributes:
        seed: makes the same again.
        model: an `onnx.ModelProto`.
        inputs: in the model's order, with the batch axis of each.
        outputs: in the model's order; what each is by construction.
        couplings: ingredients that make rows depend on each other, in their order.
        steps: all ingredients, in their order.
    """

    seed: int
    model: Any
    inputs: tuple[GraphInput, ...]
    outputs: tuple[Value, ...]
    couplings: tuple[Ingredient, ...]
    steps: tuple[Ingredient, ...]

    @property
    def axes(self) -> dict[str, int | None]:
        """The batch axis of each input; None of one that all rows share."""
        return {given.name: given.batch_axis for given in self.inputs}

    def __str__(self) -> str:
        return f"graph {self.seed}: {', then '.join(step.name for step in self.steps)}"


def random_graph(seed: int) -> RandomGraph:
    """The model of a seed: up to twelve steps, some of which may couple rows."""
    chance = random.Random(seed)
    return _graph(seed, chance, lambda g: [_take_one(g, wanted) for wanted in _plan(chance)])


def graph_of(entry: Ingredient, seed: int) -> RandomGraph | None:
    """A model of this step alone; None where it does not fit the inputs of the seed."""
    graph = _graph(seed, random.Random(seed), lambda g: [_take(g, entry, tries=3)])
    return graph if graph.steps else None


def _graph(
    seed: int, chance: random.Random, add_steps: Callable[[Builder], list[Ingredient | None]]
) -> RandomGraph:
    g = Builder(chance, chance.choice(OPSETS))
    inputs = draw_inputs(g)
    steps = [step for step in add_steps(g) if step is not None]
    outputs = _choose_outputs(g, steps)
    return RandomGraph(
        seed,
        _model(g, inputs, outputs),
        tuple(inputs),
        tuple(outputs),
        tuple(step for step in steps if step.couples),
        tuple(steps),
    )


def _plan(chance: random.Random) -> list[str]:
    """Which step shall be along rows, over rows, or random."""
    depth = min(DEEPEST, 1 + int(chance.expovariate(0.3)))
    plan = ["along"] * depth
    for _ in range(chance.choices([0, 1, 2], [45, 45, 10])[0]):
        plan[chance.randrange(depth)] = "over"
    if chance.random() < 0.05:
        plan[chance.randrange(depth)] = "random"
    return plan


def _suits(entry: Ingredient, wanted: str) -> bool:
    if wanted == "random":
        return entry.family == "random"
    return entry.family != "random" and entry.couples == (wanted == "over")


def _take_one(g: Builder, wanted: str) -> Ingredient | None:
    """Adds one ingredient of that kind; all families are equally likely."""
    suiting = [entry for entry in INGREDIENTS if _suits(entry, wanted)]
    families = sorted({entry.family for entry in suiting})
    for _ in range(30):
        family = g.chance.choice(families)
        entry = g.chance.choice([one for one in suiting if one.family == family])
        if _take(g, entry, tries=1) is not None:
            return entry
    return None


def _take(g: Builder, entry: Ingredient, tries: int) -> Ingredient | None:
    for _ in range(tries):
        made = entry.step(g, _choose_value(g))
        if made is not None:
            noisy = made.random or entry.family == "random"
            g.pool.append(replace(made, coupled=made.coupled or entry.couples, random=noisy))
            return entry
    return None


def _choose_value(g: Builder) -> Value:
    """Mostly the latest that a step can go on with."""
    fit = [value for value in g.pool if _goes_on(value)]
    return fit[-1] if g.chance.random() < 0.7 else g.chance.choice(fit)


def _goes_on(value: Value) -> bool:
    size = np.prod([value.length(axis) for axis in value.fixed])
    return bool(
        value.batch is not None
        and value.dtype == np.float32
        and value.rank <= 5
        and size <= LARGEST
        and all(isinstance(dim, int) or dim in ("rows", "free") for dim in value.shape)
    )


def _choose_outputs(g: Builder, steps: list[Ingredient]) -> list[Value]:
    """The last value, and up to three others."""
    made = g.pool[len(g.pool) - len(steps) :] if steps else [g.add("Identity", g.pool[-1])]
    count = g.chance.choice([0, 0, 1, 1, 2, 3])
    more = g.chance.sample(made[:-1], min(count, len(made) - 1))
    if g.shared and g.chance.random() < 0.1:
        more.append(g.add("Abs", g.chance.choice(g.shared)))
    return [*more, made[-1]]


def _model(g: Builder, inputs: list[GraphInput], outputs: list[Value]) -> Any:
    naming = Naming(g.chance)
    described = [naming.describe(given.value) for given in inputs]
    graph = helper.make_graph(
        g.nodes, "random", described, [naming.describe_output(y) for y in outputs], g.initializers
    )
    opset = helper.make_opsetid("", g.opset)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    return disguise(model, g.chance)
