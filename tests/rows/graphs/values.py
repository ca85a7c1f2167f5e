"""What is known of each tensor of a random graph by construction, and the list of ingredients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from tests.rows.graphs.builder import Builder

ROWS = "rows"
"""Stands in a shape for the axis along which rows lie."""
FREE = "free"
"""Stands in a shape for an axis of any length that has nothing to do with rows."""

Shape = tuple[int | str, ...]

FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class Value:
    """One tensor of a graph under construction.

    Attributes:
        name: in the model.
        shape: an axis is a number, ROWS, FREE, or another word for a length that nobody names.
        dtype: of its elements.
        coupled: a row of it depends on other rows, on its place or on how many there are.
        random: the same inputs give other values.
    """

    name: str
    shape: Shape
    dtype: np.dtype[Any] = FLOAT
    coupled: bool = False
    random: bool = False

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def batch(self) -> int | None:
        """The axis along which its rows lie, where there is exactly one."""
        return self.shape.index(ROWS) if self.shape.count(ROWS) == 1 else None

    @property
    def others(self) -> list[int]:
        """The axes that have nothing to do with rows."""
        return [axis for axis in range(self.rank) if axis != self.batch]

    @property
    def fixed(self) -> list[int]:
        """The axes of which the length is known."""
        return [axis for axis, dim in enumerate(self.shape) if isinstance(dim, int)]

    def length(self, axis: int) -> int:
        """Of an axis where it is known."""
        dim = self.shape[axis]
        assert isinstance(dim, int), self
        return dim

    def resized(self, axis: int, dim: int | str) -> Shape:
        """Its shape with another length along one axis."""
        return (*self.shape[:axis], dim, *self.shape[axis % self.rank + 1 :])


Step = Callable[["Builder", Value], Value | None]
"""Adds nodes behind a value of floats that has a batch axis; None where it does not fit."""


@dataclass(frozen=True)
class Ingredient:
    """One kind of step.

    Attributes:
        name: e.g. "softmax along the batch".
        family: as the table of results groups them.
        step: see there.
        couples: what it returns depends on other rows, whatever came in.
    """

    name: str
    family: str
    step: Step
    couples: bool


INGREDIENTS: list[Ingredient] = []

AnyStep = TypeVar("AnyStep", bound=Step)


def ingredient(family: str, *, couples: bool = False) -> Callable[[AnyStep], AnyStep]:
    """Enters a step into the list."""

    def enter(step: AnyStep) -> AnyStep:
        name = step.__name__.replace("_", " ")
        INGREDIENTS.append(Ingredient(name, family, step, couples))
        return step

    return enter
