"""Random nodes of one operator each, proved or not, for the comparison with a runtime.

Most have a batch axis in some place or other, so that for every operator both answers occur.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.rows.onnx_graphs import Array

Inputs = Mapping[str, tuple[str, Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Case:
    """A graph of a few nodes.

    Attributes:
        nodes: they make "y", and perhaps "y2", "y3".
        inputs: name -> (letter of the type, shape); "N" is the number of rows.
        constants: name -> array.
        outputs: names of outputs.
        opset: of ONNX.
    """

    nodes: list[Any]
    inputs: Inputs
    constants: Mapping[str, Array] = field(default_factory=dict)
    outputs: str = "y"
    opset: int = 17


Chance = random.Random


Maker = Callable[[Chance], Case]


MAKERS: dict[str, Maker] = {}


def one_of(chance: Chance, options: Sequence[Any]) -> Any:
    return chance.choice(options)


def maker(function: Maker) -> Maker:
    MAKERS[function.__name__] = function
    return function


def shape_with_rows(chance: Chance, rank: int, axis: int | None = None) -> list[Any]:
    """Lengths of 1 to 3, one of them the number of rows: mostly the first."""
    shape: list[Any] = [one_of(chance, [1, 2, 3]) for _ in range(rank)]
    if rank:
        at = one_of(chance, [0, 0, *range(rank)]) if axis is None else axis
        shape[at] = "N"
    return shape


def floats(chance: Chance, *shape: int) -> Array:
    return np.random.default_rng(chance.randrange(2**32)).normal(size=shape).astype(np.float32)
