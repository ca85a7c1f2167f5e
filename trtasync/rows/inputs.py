"""Rows to try a model with, and batches of them; rows derived from samples that a user gave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from trtasync.errors import InvalidInput
from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec
from trtasync.rows.compare import is_float

MOST_ROWS: Final = 1 << 16
"""Of a batch that is tried: each is handled by itself, whatever the model declares."""

Row = tuple[Array, ...]
"""One row of every input that has rows, in the model's order and without the batch axis."""


class RowSource(Protocol):
    """A source of rows.

    Attributes:
        shared: the value of every input without rows, in the model's order.
    """

    shared: tuple[Array, ...]

    def row(self, ints: int = 0, *, narrow: bool = False) -> Row:
        """Return another row.

        Args:
            ints: if given, an upper bound for integers that may have any value.
            narrow: make the row as a whole unlike others: its values lie close together, and its
                masks may end anywhere or have holes.
        """


@dataclass(frozen=True, slots=True)
class InputAxes:
    """Which inputs have rows, and along which axis.

    Attributes:
        inputs: of the model.
        axes: an axis or None (shared) for each of them.
    """

    inputs: tuple[TensorSpec, ...]
    axes: tuple[int | None, ...]

    @classmethod
    def of(cls, inputs: Sequence[TensorSpec], axes: Mapping[str, int | None]) -> "InputAxes":
        """Build it from axes by name; inputs that are not named are shared."""
        return cls(tuple(inputs), tuple(axes.get(spec.name) for spec in inputs))

    def row_shape(self, index: int) -> tuple[int | str | None, ...]:
        """The declared shape of one input, without its batch axis."""
        shape, axis = self.inputs[index].shape, self.axes[index]
        return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])

    def stack(self, rows: Sequence[Row], shared: Sequence[Array]) -> list[Array]:
        """Stack rows into the arrays of one run."""
        columns, rest = iter(zip(*rows, strict=True)), iter(shared)
        return [next(rest) if axis is None else np.stack(next(columns), axis) for axis in self.axes]


class Natural:
    """The rows a user gave, then variations of them. See `RowSource`."""

    def __init__(self, layout: InputAxes, samples: Sequence[Array], chance: np.random.Generator):
        """
        Raises:
            InvalidInput: the samples do not fit the inputs.
        """
        if len(samples) != len(layout.inputs):
            raise InvalidInput(
                f"the model has {len(layout.inputs)} inputs; samples are given for {len(samples)}."
            )
        arrays = [
            np.asarray(sample, spec.dtype)
            for sample, spec in zip(samples, layout.inputs, strict=True)
        ]
        pairs = list(zip(layout.inputs, layout.axes, arrays, strict=True))
        self.shared: tuple[Array, ...] = tuple(array for _, axis, array in pairs if axis is None)
        columns = [_rows(spec, axis, array) for spec, axis, array in pairs if axis is not None]
        counts = sorted({len(column) for column in columns})
        if len(counts) > 1 or 0 in counts:
            raise InvalidInput(
                f"all samples need the same number of rows, at least one; got {counts}."
            )
        self._natural = list(zip(*columns, strict=True))
        self._chance = chance
        self._given = 0

    def row(self, ints: int = 0, *, narrow: bool = False) -> Row:
        """See `RowSource`; natural values keep their range."""
        self._given += 1
        if self._given <= len(self._natural):
            return self._natural[self._given - 1]
        row = self._natural[self._chance.integers(len(self._natural))]
        return tuple(self._vary(array) for array in row)

    def _vary(self, array: Array) -> Array:
        if not is_float(array.dtype):
            steps = int(self._chance.integers(1, 1 + max(1, array.size)))
            return np.roll(array, steps, -1) if array.ndim else array
        wide = array.astype(np.float64)
        size = float(np.abs(wide[np.isfinite(wide)]).mean()) if array.size else 0.0
        noise = 0.1 * (size or 1.0) * self._chance.standard_normal(array.shape)
        return np.asarray(wide + noise).astype(array.dtype)


def scaled(row: Row, factor: float) -> Row:
    """Multiply the row's floats by a factor, or by as much of it as their type can hold."""
    return tuple(_scaled(array, factor) if is_float(array.dtype) else array for array in row)


def of_nan(row: Row) -> Row:
    """Replace the row's floats by NaN."""
    return tuple(
        np.full(array.shape, np.nan).astype(array.dtype) if is_float(array.dtype) else array
        for array in row
    )


def _scaled(array: Array, factor: float) -> Array:
    wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    while True:
        with np.errstate(over="ignore"):
            result = np.asarray(wide * factor).astype(array.dtype)
        if factor <= 1 or np.isfinite(result).all():
            return result
        factor /= 10


def _rows(spec: TensorSpec, axis: int, array: Array) -> list[Array]:
    """Split a sample, which may be one row without the batch axis, into rows."""
    if array.ndim == len(spec.shape) - 1:
        return [array]
    if array.ndim != len(spec.shape):
        raise InvalidInput(f"input {spec} does not accept a sample of shape {array.shape}.")
    # all of them arrays: iterating would turn a vector into scalars
    return [np.moveaxis(array, axis, 0)[index, ...] for index in range(array.shape[axis])]
