"""Requests for a load: random rows of the right dtypes, or rows from a file."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trtasync.errors import InvalidInput
from trtasync.measure.loads import demand_positive
from trtasync.model.arrays import Array, Shape
from trtasync.model.tensors import TensorSpec

MOST_INPUTS = 64
"""Most different requests: together they should exceed the CPU caches but not fill the memory."""

MOST_INPUT_BYTES = 256 << 20
"""Most bytes of all requests together, unless a single one is larger."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """How requests are made.

    Attributes:
        rows: per request; a single row has no batch axis, as most callers send it.
        shapes: input name -> shape of one row, with or without batch axis; for dynamic axes.
        file: an .npz with an array per input name, rows along its batch axis; None for random
            numbers.
        seed: for the random numbers.
    """

    rows: int = 1
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    file: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        demand_positive("rows", self.rows)

    def make(self, specs: Sequence[TensorSpec]) -> list[Any]:
        """Make requests for `Engine.infer`, all of the same shapes.

        Args:
            specs: the model's inputs.

        Raises:
            InvalidInput: a dynamic axis has no length, a name is unknown, or the file does not fit.
        """
        known = {spec.name for spec in specs}
        if unknown := set(self.shapes) - known:
            raise InvalidInput(f"--shape names {sorted(unknown)}; the inputs are {sorted(known)}.")
        columns = self._from_file(specs) if self.file else self._random(specs)
        if len(specs) == 1:
            return columns[0]
        names = [spec.name for spec in specs]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def _random(self, specs: Sequence[TensorSpec]) -> list[list[Array]]:
        if hosts := [spec.name for spec in specs if spec.host]:
            raise InvalidInput(
                f"input(s) {hosts} are shape tensors, whose values determine the batch's "
                "shape; give them, and all other inputs, in a file (--samples)."
            )
        shapes = [self._request_shape(spec) for spec in specs]
        size = sum(
            spec.dtype.itemsize * math.prod(shape)
            for spec, shape in zip(specs, shapes, strict=True)
        )
        count = max(1, min(MOST_INPUTS, MOST_INPUT_BYTES // max(1, size)))
        chance = np.random.default_rng(self.seed)
        try:
            return [
                self._random_column(chance, spec, shape, count, many=len(specs) > 1)
                for spec, shape in zip(specs, shapes, strict=True)
            ]
        except (MemoryError, ValueError) as error:  # more bytes than can exist
            raise InvalidInput(
                f"a request of {size} bytes cannot be made ({error}); give fewer rows, or smaller "
                "shapes (--shape)."
            ) from error

    def _random_column(
        self, chance: np.random.Generator, spec: TensorSpec, shape: Shape, count: int, many: bool
    ) -> list[Array]:
        """One input of all requests; a shared one is equal in all, so that they share batches."""
        if many and spec.batch_axis is None:
            return [random_array(chance, spec.dtype, shape)] * count
        return [random_array(chance, spec.dtype, shape) for _ in range(count)]

    def _request_shape(self, spec: TensorSpec) -> Shape:
        axes = _without(spec.shape, spec.batch_axis)
        given = self.shapes.get(spec.name, axes)
        if len(given) == len(spec.shape):
            given = _without(given, spec.batch_axis)
        fits = len(given) == len(axes) and all(
            not isinstance(axis, int) or axis == dim for axis, dim in zip(axes, given, strict=True)
        )
        if not fits:
            raise InvalidInput(f"--shape {spec.name}:{written(given)} does not fit {spec}.")
        row = tuple(dim for dim in given if isinstance(dim, int))
        if len(row) < len(given):
            ones = written(dim if isinstance(dim, int) else "?" for dim in axes)
            raise InvalidInput(
                f"input {spec} has dynamic axes; give their lengths: --shape {spec.name}:{ones}."
            )
        at = spec.batch_axis
        return row if at is None or self.rows == 1 else (*row[:at], self.rows, *row[at:])

    def _from_file(self, specs: Sequence[TensorSpec]) -> list[list[Array]]:
        assert self.file is not None
        arrays = read_samples(self.file)
        missing = [spec.name for spec in specs if spec.name not in arrays]
        if missing:
            raise InvalidInput(f"{self.file} has no array for {missing}; it has {sorted(arrays)}.")
        columns = [self._requests(spec, arrays[spec.name]) for spec in specs]
        count = min(map(len, columns))
        count = min(count, MOST_INPUTS)
        if not count:
            raise InvalidInput(f"{self.file} has fewer rows than one request of {self.rows}.")
        return [column[:count] for column in columns]

    def _requests(self, spec: TensorSpec, array: Array) -> list[Array]:
        """Split into requests of `self.rows` rows; an input without rows is the same in each."""
        axis = spec.batch_axis
        if axis is None:
            return [array] * MOST_INPUTS
        if array.ndim == len(spec.shape) - 1:
            array = np.expand_dims(array, axis)
        if array.ndim != len(spec.shape):
            raise InvalidInput(f"{self.file} has shape {array.shape} for {spec}.")
        rows = np.moveaxis(array, axis, 0)
        if self.rows == 1:
            return [np.ascontiguousarray(row) for row in rows[:MOST_INPUTS]]
        last = min(len(rows) // self.rows, MOST_INPUTS) * self.rows
        return [
            np.ascontiguousarray(np.moveaxis(rows[at : at + self.rows], 0, axis))
            for at in range(0, last, self.rows)
        ]


def _without(shape: tuple[Any, ...], axis: int | None) -> tuple[Any, ...]:
    return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])


def read_samples(file: Path) -> dict[str, Array]:
    """Read the arrays of an .npz file, by name.

    Raises:
        InvalidInput: it is not an .npz file.
    """
    try:
        found = np.load(file, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise ValueError("it holds one array without a name")
        with found:
            arrays = dict(found)
        if others := sorted(name for name, each in arrays.items() if type(each) is not np.ndarray):
            raise ValueError(f"{others} in it are not arrays")
    except Exception as error:  # numpy, zipfile and zlib raise many types on malformed files
        why = " ".join(str(error).split()) or type(error).__name__
        raise InvalidInput(f"{file} cannot be read as an .npz file: {why}") from error
    return arrays


def random_array(chance: np.random.Generator, dtype: np.dtype[Any], shape: Shape) -> Array:
    """Draw normal floats, bytes of the whole range, and 0 or 1 for wider integers, which are often
    indices into a table of unknown size."""
    if dtype.kind == "b":
        return chance.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = (limits.min, limits.max) if dtype.itemsize == 1 else (0, 1)
        return chance.integers(low, high, shape, dtype, endpoint=True)
    return np.asarray(chance.standard_normal(shape, np.float32).astype(dtype))


def read_shapes(texts: Sequence[str]) -> dict[str, Shape]:
    """Parse "name:1x3x224x224", one or several separated by commas.

    Raises:
        InvalidInput: a text has another form.
    """
    shapes = {}
    for text in ",".join(texts).split(",") if texts else ():
        match = re.fullmatch(r"(.+):(\d+(?:x\d+)*)", text.strip())
        if match is None:
            raise InvalidInput(f"--shape takes name:1x3x224x224, not {text!r}.")
        shapes[match[1]] = tuple(map(int, match[2].split("x")))
    return shapes


def written(shape: Any) -> str:
    """Format a shape, e.g. "3x224x224"."""
    return "x".join(map(str, shape))
