"""Rows drawn at random, by the type, shape and name of the inputs."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec
from trtasync.rows.compare import is_float, is_numeric
from trtasync.rows.inputs import InputAxes, Row
from trtasync.system.free_memory import free_memory

MOST_ELEMENTS: Final = 1 << 21
"""Of one row of all inputs, by the choice of free axes; a fixed shape may have more."""

MOST_FIXED_ELEMENTS: Final = 1 << 24

LITTLE: Final = 1 << 24
"""Bytes that are drawn without a look at how many are free, which takes up to milliseconds."""

SAMPLE_RATE: Final = 16_000

NARROW: Final = np.float32(0.3)
"""How far the floats of a narrow row lie apart, as a share of the usual."""

_RATE = re.compile(r"sr|.*sampl(e|ing)_?rate.*", re.IGNORECASE)
_LENGTH = re.compile(
    r"\w*(len|lens|length|lengths|width|widths|height|heights)(_.*)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How inputs are drawn.

    Attributes:
        length: the length of every free axis, so that equal names have equal lengths.
        ints: the smallest and largest integer.
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


def undrawable(layout: InputAxes, rows: int) -> str:
    """Say why no inputs with this many rows can be drawn; "" if they can."""
    needed = 0
    for index, spec in enumerate(layout.inputs):
        if not is_numeric(spec.dtype):
            return f"inputs of type {spec.dtype} ({spec.name}) cannot be drawn"
        size = _size(layout.row_shape(index), 1)
        if size > MOST_FIXED_ELEMENTS:
            return f"a row of {spec.name} has more than {MOST_FIXED_ELEMENTS} elements"
        needed += size * spec.dtype.itemsize * (1 if layout.axes[index] is None else rows)
    free = free_memory() if needed > LITTLE else None
    short = free is not None and needed > free
    return "there is no memory for rows to try it with" if short else ""


def drawn(layout: InputAxes, chance: np.random.Generator) -> Iterator["Drawn"]:
    """Yield row sources, one per recipe."""
    shapes = [layout.row_shape(index) for index in range(len(layout.inputs))]
    free = any(not isinstance(dim, int) for shape in shapes for dim in shape)
    for recipe in RECIPES if free else RECIPES[:FIXED_RECIPES]:
        yield Drawn(layout, recipe, chance)


class Drawn:
    """Random rows drawn by one recipe; see `RowSource`."""

    def __init__(self, layout: InputAxes, recipe: Recipe, chance: np.random.Generator):
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
        self.shared: tuple[Array, ...] = self._draw(shared=True)

    def row(self, ints: int = 0, *, narrow: bool = False) -> Row:
        """See `RowSource`."""
        return self._draw(shared=False, ints=ints, narrow=narrow)

    def _draw(self, *, shared: bool, ints: int = 0, narrow: bool = False) -> tuple[Array, ...]:
        inputs = zip(self._layout.inputs, self._layout.axes, self._shapes, strict=True)
        return tuple(
            # int4 and the like go through int64; floats too large for their type do no harm here
            np.asarray(self._values(spec, shape, ints, narrow)).astype(spec.dtype)
            for spec, axis, shape in inputs
            if (axis is None) is shared
        )

    def _values(self, spec: TensorSpec, shape: tuple[int, ...], ints: int, narrow: bool) -> Array:
        dtype, chance = spec.dtype, self._chance
        if "mask" in spec.name.lower():
            return self._mask(shape, narrow)
        if is_float(dtype):
            return self._floats(shape, narrow)
        named = self._by_name(spec.name.lower(), shape)
        if named is not None:
            return named
        if dtype.kind == "b":
            return chance.random(shape) < (chance.random() if narrow else 0.5)
        if dtype.kind in "iu" and dtype.itemsize == 1:
            limits = np.iinfo(dtype)
            return self._ints(shape, limits.min, limits.max, narrow)
        low, high = self._recipe.ints
        if len(spec.shape) == 1:  # an integer per row may be a size or a trip count: it stays small
            return self._ints(shape, low, high, narrow)
        return self._ints(shape, low, max(high, ints - 1), narrow)

    def _mask(self, shape: tuple[int, ...], narrow: bool) -> Array:
        longest = shape[-1] if shape else 1
        if not narrow:
            return _ramp(shape) < self._chance.integers((longest + 1) // 2, longest + 1)
        length = int((longest + 2) ** self._chance.random()) - 1  # log-uniform
        if self._chance.random() < 0.5:
            return _ramp(shape) < length
        return self._chance.random(shape) < length / max(1, longest)

    def _floats(self, shape: tuple[int, ...], narrow: bool) -> Array:
        values = self._recipe.floats(self._chance, shape)
        if not narrow:
            return values
        centre = self._recipe.floats(self._chance, ())
        return np.asarray(centre + NARROW * (values - centre))

    def _ints(self, shape: tuple[int, ...], low: int, high: int, narrow: bool) -> Array:
        """Draw from the whole range or part of it; small parts are as likely as large ones."""
        if narrow:
            span = int((high - low + 1) ** self._chance.random())
            low = int(self._chance.integers(low, high - span + 2))
            high = low + span - 1
        return self._chance.integers(low, high + 1, shape)

    def _by_name(self, name: str, shape: tuple[int, ...]) -> Array | None:
        """Draw integers whose meaning the input's name gives away."""
        if _RATE.fullmatch(name):
            return np.full(shape, SAMPLE_RATE)
        if _LENGTH.fullmatch(name) and self._longest > 1:
            return self._chance.integers(1, self._longest + 1, shape)
        if "position" in name:
            return _ramp(shape)
        if "type" in name or "segment" in name:
            return self._chance.integers(0, 2, shape)
        return None


def _ramp(shape: tuple[int, ...]) -> Array:
    """0, 1, 2 ... along the last axis."""
    return np.broadcast_to(np.arange(shape[-1]), shape) if shape else np.asarray(0)


def _size(shape: Sequence[int | str | None], free: int) -> int:
    size = 1
    for dim in shape:
        size *= dim if isinstance(dim, int) else free
    return size


def _longest_free_axis(shape: Sequence[int | str | None], wanted: int, room: int) -> int:
    """Limit `wanted` so that the shape has no more elements than there is room for."""
    count = sum(not isinstance(dim, int) for dim in shape)
    if not count:
        return wanted
    return max(1, min(wanted, int((room / max(1, _size(shape, 1))) ** (1 / count))))
