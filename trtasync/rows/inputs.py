"""Rows to try a model with: drawn by type and name, or made from natural ones that a user gave."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from trtasync.errors import InvalidInput
from trtasync.rows.compare import is_float, is_numeric
from trtasync.rows.verdicts import Array
from trtasync.tensors import TensorSpec

Row = tuple[Array, ...]
"""One row of every input that has rows, in the model's order and without the batch axis."""

MOST_ELEMENTS: Final = 1 << 21
"""Of one row of all inputs, by the choice of free axes; a fixed shape may have more."""

MOST_FIXED_ELEMENTS: Final = 1 << 24

SAMPLE_RATE: Final = 16_000

_RATE = re.compile(r"sr|.*sampl(e|ing)_?rate.*", re.IGNORECASE)
_LENGTH = re.compile(
    r"\w*(len|lens|length|lengths|width|widths|height|heights)(_.*)?", re.IGNORECASE
)


class Source(Protocol):
    """Where rows come from.

    Attributes:
        shared: the value of every input without rows, in the model's order.
    """

    shared: tuple[Array, ...]

    def row(self, ints: int = 0) -> Row:
        """Another row; integers that may be anything lie below `ints`, where that is given."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which inputs have rows, and along which axis.

    Attributes:
        inputs: of the model.
        axes: an axis or None (shared) for each of them.
    """

    inputs: tuple[TensorSpec, ...]
    axes: tuple[int | None, ...]

    @classmethod
    def of(cls, inputs: Sequence[TensorSpec], axes: Mapping[str, int | None]) -> "Layout":
        """By name; an input that is not named is shared."""
        return cls(tuple(inputs), tuple(axes.get(spec.name) for spec in inputs))

    def row_shape(self, index: int) -> tuple[int | str | None, ...]:
        """The declared shape of one input, without its batch axis."""
        shape, axis = self.inputs[index].shape, self.axes[index]
        return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])

    def stack(self, rows: Sequence[Row], shared: Sequence[Array]) -> list[Array]:
        """The arrays of one run."""
        columns, rest = iter(zip(*rows, strict=True)), iter(shared)
        return [next(rest) if axis is None else np.stack(next(columns), axis) for axis in self.axes]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How inputs are drawn.

    Attributes:
        length: of every free axis; equal names thus have equal lengths.
        ints: the smallest and the largest integer.
        floats: the distribution of floats.
    """

    length: int
    ints: tuple[int, int]
    floats: Callable[[np.random.Generator, tuple[int, ...]], Array]


def _normal(chance: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return chance.standard_normal(shape, np.float32)


def _uniform(chance: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return chance.random(shape, np.float32)


def _about_one(chance: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.float32(1) + np.float32(0.1) * chance.standard_normal(shape, np.float32)


RECIPES: Final = (
    Recipe(64, (0, 1), _normal),
    Recipe(32, (0, 9), _uniform),
    Recipe(512, (1, 100), _about_one),
    Recipe(16, (1, 2), _normal),
    Recipe(8, (0, 1), _uniform),
    Recipe(224, (1, 9), _uniform),
    Recipe(SAMPLE_RATE, (1, 9), _normal),
)
"""In the order in which they are tried."""

FIXED_RECIPES: Final = 5
"""So many of them for a model without free axes."""


def undrawable(layout: Layout) -> str:
    """Why no inputs can be drawn; "" where they can."""
    for index, spec in enumerate(layout.inputs):
        if not is_numeric(spec.dtype):
            return f"inputs of type {spec.dtype} ({spec.name}) cannot be drawn"
        if _size(layout.row_shape(index), 1) > MOST_FIXED_ELEMENTS:
            return f"a row of {spec.name} has more than {MOST_FIXED_ELEMENTS} elements"
    return ""


def drawn(layout: Layout, chance: np.random.Generator) -> Iterator["Drawn"]:
    """One source after the other, each drawn by another recipe."""
    shapes = [layout.row_shape(index) for index in range(len(layout.inputs))]
    free = any(not isinstance(dim, int) for shape in shapes for dim in shape)
    for recipe in RECIPES if free else RECIPES[:FIXED_RECIPES]:
        yield Drawn(layout, recipe, chance)


class Drawn:
    """Random rows of one recipe; see `Source`."""

    def __init__(self, layout: Layout, recipe: Recipe, chance: np.random.Generator):
        self._layout = layout
        self._recipe = recipe
        self._chance = chance
        shapes = [layout.row_shape(index) for index in range(len(layout.inputs))]
        room = MOST_ELEMENTS // len(shapes)
        length = min(_longest_free_axis(shape, recipe.length, room) for shape in shapes)
        self._shapes = [
            tuple(dim if isinstance(dim, int) else length for dim in shape) for shape in shapes
        ]
        self._longest = max((dim for shape in self._shapes for dim in shape), default=1)
        self.shared = self._draw(shared=True)

    def row(self, ints: int = 0) -> Row:
        """See `Source`."""
        return self._draw(shared=False, ints=ints)

    def _draw(self, *, shared: bool, ints: int = 0) -> tuple[Array, ...]:
        inputs = zip(self._layout.inputs, self._layout.axes, self._shapes, strict=True)
        return tuple(
            # int4 and its kin go through int64; floats too wide for their type are no harm here
            np.asarray(self._values(spec, shape, ints)).astype(spec.dtype)
            for spec, axis, shape in inputs
            if (axis is None) is shared
        )

    def _values(self, spec: TensorSpec, shape: tuple[int, ...], ints: int) -> Array:
        dtype, chance = spec.dtype, self._chance
        if "mask" in spec.name.lower():
            last = shape[-1] if shape else 1
            return _ramp(shape) < chance.integers((last + 1) // 2, last + 1)
        if is_float(dtype):
            return self._recipe.floats(chance, shape)
        named = self._by_name(spec.name.lower(), shape)
        if named is not None:
            return named
        if dtype.kind == "b":
            return chance.integers(0, 2, shape)
        if dtype.kind in "iu" and dtype.itemsize == 1:
            limits = np.iinfo(dtype)
            return chance.integers(limits.min, limits.max + 1, shape)
        low, high = self._recipe.ints
        # an integer per row may be a size or a trip count: those stay small
        return chance.integers(low, max(high, ints - 1 if len(spec.shape) > 1 else 0) + 1, shape)

    def _by_name(self, name: str, shape: tuple[int, ...]) -> Array | None:
        """Integers whose name says what they are."""
        if _RATE.fullmatch(name):
            return np.full(shape, SAMPLE_RATE)
        if _LENGTH.fullmatch(name) and self._longest > 1:
            return self._chance.integers(1, self._longest + 1, shape)
        if "position" in name:
            return _ramp(shape)
        if "type" in name or "segment" in name:
            return self._chance.integers(0, 2, shape)
        return None


class Natural:
    """Rows a user gave, as they are; then variations of them. See `Source`."""

    def __init__(self, layout: Layout, samples: Sequence[Array], chance: np.random.Generator):
        """
        Raises:
            InvalidInput: the samples do not fit the inputs.
        """
        if len(samples) != len(layout.inputs):
            raise InvalidInput(
                f"the model has {len(layout.inputs)} inputs; there are samples of {len(samples)}."
            )
        arrays = [
            np.asarray(sample, spec.dtype)
            for sample, spec in zip(samples, layout.inputs, strict=True)
        ]
        pairs = list(zip(layout.inputs, layout.axes, arrays, strict=True))
        self.shared = tuple(array for _, axis, array in pairs if axis is None)
        columns = [_rows(spec, axis, array) for spec, axis, array in pairs if axis is not None]
        counts = sorted({len(column) for column in columns})
        if len(counts) > 1 or 0 in counts:
            raise InvalidInput(f"samples need equally many rows, at least one; not {counts}.")
        self._natural = list(zip(*columns, strict=True))
        self._chance = chance
        self._given = 0

    def row(self, ints: int = 0) -> Row:
        """See `Source`; natural integers keep their range."""
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
    """The row's floats times a factor, or times what their type can still hold of it."""
    return tuple(_scaled(array, factor) if is_float(array.dtype) else array for array in row)


def of_nan(row: Row) -> Row:
    """The row with NaN for its floats."""
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
    """The rows of a sample, which may be one row without the batch axis."""
    if array.ndim == len(spec.shape) - 1:
        return [array]
    if array.ndim != len(spec.shape):
        raise InvalidInput(f"input {spec} takes no sample of shape {array.shape}.")
    # arrays all of them, where iterating would make scalars of a vector
    return [np.moveaxis(array, axis, 0)[index, ...] for index in range(array.shape[axis])]


def _ramp(shape: tuple[int, ...]) -> Array:
    """0, 1, 2 ... along the last axis."""
    return np.broadcast_to(np.arange(shape[-1]), shape) if shape else np.asarray(0)


def _size(shape: Sequence[int | str | None], free: int) -> int:
    size = 1
    for dim in shape:
        size *= dim if isinstance(dim, int) else free
    return size


def _longest_free_axis(shape: Sequence[int | str | None], wanted: int, room: int) -> int:
    """At most `wanted`, and so short that the shape has no more elements than there is room."""
    count = sum(not isinstance(dim, int) for dim in shape)
    if not count:
        return wanted
    return max(1, min(wanted, int((room / max(1, _size(shape, 1))) ** (1 / count))))
