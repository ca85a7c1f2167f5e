"""What the requests hold: random rows by dtype, or rows of a file."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trtasync.bench.loads import demand_positive
from trtasync.errors import InvalidInput
from trtasync.requests import Array
from trtasync.tensors import ModelSpec, TensorSpec

MOST_REQUESTS = 64
"""Different requests made at most: their bytes should not all fit the caches, nor fill memory."""

MOST_BYTES = 256 << 20
"""Of all requests together, unless a single one is larger."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """How requests are made.

    Attributes:
        rows: of each request; one row comes without a batch axis, as most callers send it.
        shapes: input name -> shape of one row, or with a batch axis in front; for dynamic axes.
        file: an .npz with an array per input name, rows along its batch axis; random numbers
            without one.
        seed: of the random numbers.
    """

    rows: int = 1
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    file: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        demand_positive("rows", self.rows)

    def make(self, model: ModelSpec) -> list[Any]:
        """Requests for `Engine.infer`, all of the same shapes; what rows share is the same in all.

        Raises:
            InvalidInput: a dynamic axis has no number, a name is unknown, the file does not fit.
        """
        known = {spec.name for spec in model.inputs}
        if unknown := set(self.shapes) - known:
            raise InvalidInput(f"--shape names {sorted(unknown)}; the inputs are {sorted(known)}.")
        columns = self._from_file(model) if self.file else self._random(model)
        if len(model.inputs) == 1:
            return columns[0]
        names = [spec.name for spec in model.inputs]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def _random(self, model: ModelSpec) -> list[list[Array]]:
        if hosts := [spec.name for spec in model.inputs if spec.host]:
            raise InvalidInput(
                f"input(s) {hosts} are shape tensors, whose values shape the batch: give them, "
                "and all other inputs, in a file (--samples)."
            )
        shapes = [self._request_shape(model, spec) for spec in model.inputs]
        size = sum(
            spec.dtype.itemsize * int(np.prod(shape, dtype=np.int64))
            for spec, shape in zip(model.inputs, shapes, strict=True)
        )
        count = max(1, min(MOST_REQUESTS, MOST_BYTES // max(1, size)))
        chance = np.random.default_rng(self.seed)
        columns = []
        for spec, shape in zip(model.inputs, shapes, strict=True):
            different = 1 if model.is_shared(spec) else count
            arrays = [random_array(chance, spec.dtype, shape) for _ in range(different)]
            columns.append(arrays * (count // different))
        return columns

    def _request_shape(self, model: ModelSpec, spec: TensorSpec) -> Shape:
        axis, dims = _axis(model, spec), model.row_dims(spec)
        given = self.shapes.get(spec.name, dims)
        if axis is not None and len(given) == len(spec.shape):
            given = (*given[:axis], *given[axis + 1 :])
        fits = len(given) == len(dims) and all(
            not isinstance(want, int) or want == dim for want, dim in zip(dims, given, strict=True)
        )
        if not fits:
            raise InvalidInput(f"--shape {spec.name}:{written(given)} does not fit {spec}.")
        row = tuple(dim for dim in given if isinstance(dim, int))
        if len(row) < len(given):
            ones = written(dim if isinstance(dim, int) else "?" for dim in dims)
            raise InvalidInput(
                f"input {spec} has dynamic axes: say how large, --shape {spec.name}:{ones}."
            )
        return row if axis is None or self.rows == 1 else (*row[:axis], self.rows, *row[axis:])

    def _from_file(self, model: ModelSpec) -> list[list[Array]]:
        assert self.file is not None
        arrays = read_samples(self.file)
        missing = [spec.name for spec in model.inputs if spec.name not in arrays]
        if missing:
            raise InvalidInput(f"{self.file} has no array for {missing}; it has {sorted(arrays)}.")
        columns = [self._requests(model, spec, arrays[spec.name]) for spec in model.inputs]
        count = min(map(len, columns))
        count = min(count, MOST_REQUESTS)
        if not count:
            raise InvalidInput(f"{self.file} has fewer rows than one request of {self.rows}.")
        return [column[:count] for column in columns]

    def _requests(self, model: ModelSpec, spec: TensorSpec, array: Array) -> list[Array]:
        """Rows `self.rows` at a time; what has no rows is the same in all requests."""
        axis = _axis(model, spec)
        if axis is None:
            return [array] * MOST_REQUESTS
        if array.ndim == len(spec.shape) - 1:
            array = np.expand_dims(array, axis)
        if array.ndim != len(spec.shape):
            raise InvalidInput(f"{self.file} has shape {array.shape} for {spec}.")
        rows = np.moveaxis(array, axis, 0)
        if self.rows == 1:
            return [np.ascontiguousarray(row) for row in rows[:MOST_REQUESTS]]
        last = min(len(rows) // self.rows, MOST_REQUESTS) * self.rows
        parts = [rows[at : at + self.rows] for at in range(0, last, self.rows)]
        return [np.ascontiguousarray(np.moveaxis(part, 0, axis)) for part in parts]


def _axis(model: ModelSpec, spec: TensorSpec) -> int | None:
    """Along which the requests' rows lie; None for what is given whole."""
    return spec.batch_axis if model.batched and not model.is_shared(spec) else None


def read_samples(file: Path) -> dict[str, Array]:
    """The arrays of an .npz file, by name.

    Raises:
        InvalidInput: it is none.
    """
    try:
        found = np.load(file, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise ValueError("it holds one array without a name")
        with found:
            return dict(found)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{file} cannot be read as an .npz file: {error}") from error


def random_array(chance: np.random.Generator, dtype: np.dtype[Any], shape: Shape) -> Array:
    """Normal floats; bytes of the whole range; 0 or 1 for wider integers, which are often indices
    into a table whose size nobody knows."""
    if dtype.kind == "b":
        return chance.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = (limits.min, limits.max) if dtype.itemsize == 1 else (0, 1)
        return chance.integers(low, high, shape, dtype, endpoint=True)
    return np.asarray(chance.standard_normal(shape, np.float32).astype(dtype))


def read_shapes(texts: Sequence[str]) -> dict[str, Shape]:
    """From "name:1x3x224x224", one or several separated by commas.

    Raises:
        InvalidInput: one is none.
    """
    shapes = {}
    for text in ",".join(texts).split(",") if texts else ():
        match = re.fullmatch(r"(.+):(\d+(?:x\d+)*)", text.strip())
        if match is None:
            raise InvalidInput(f"--shape takes name:1x3x224x224, not {text!r}.")
        shapes[match[1]] = tuple(map(int, match[2].split("x")))
    return shapes


def written(shape: Any) -> str:
    """E.g. "3x224x224"."""
    return "x".join(map(str, shape))
