"""Compares rows: bit by bit between similar runs, within a tolerance between others."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trtasync.model.arrays import Array

TOLERANCE: Final = 1e-4
"""Relative tolerance. At another position or in a batch of another size, independent rows changed
by up to 8e-6 (1 685 backend tests, 56 real models, on a CPU); coupled rows by far more."""

ROUNDINGS: Final = 16
"""Units in the last place of a half-precision output that count as rounding."""


def row(output: Array, axis: int, place: int) -> Array:
    """Take one row of an output, without the batch axis."""
    index: tuple[Any, ...] = (*[slice(None)] * axis, place)
    return np.asarray(output[index])


def same_bits(left: Array, right: Array) -> bool:
    """Whether shapes and bytes are equal: a NaN equals itself, and 0 differs from -0."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.dtype.hasobject:
        return repr(left.tolist()) == repr(right.tolist())
    return left.tobytes() == right.tobytes()


def difference(left: Array, right: Array) -> float:
    """The largest absolute difference; inf for different shapes, or if only one is finite."""
    if same_bits(left, right):
        return 0.0
    if left.shape != right.shape or not is_numeric(left.dtype):
        return float("inf")
    apart, _ = _apart(left, right)
    return float(apart.max(initial=0.0))


def relative_difference(left: Array, right: Array) -> float:
    """`difference` relative to the largest finite value in both."""
    apart = difference(left, right)
    if apart in (0.0, float("inf")):
        return apart
    _, scale = _apart(left, right)
    return apart / scale


@cache
def rounding(dtype: np.dtype[Any]) -> float:
    """`ROUNDINGS` of a float type, relative; 0 for other types."""
    if not is_float(dtype):
        return 0.0
    one, step = np.ones((), dtype), 1.0
    while np.asarray(1 + step / 2).astype(dtype) != one:
        step /= 2
    return ROUNDINGS * step


def finite(output: Array) -> bool:
    """Whether it has neither NaN nor inf."""
    return not is_numeric(output.dtype) or bool(np.isfinite(output).all())


def is_numeric(dtype: np.dtype[Any]) -> bool:
    """Whether it holds numbers or bools, including the types of `ml_dtypes`."""
    return dtype.kind in "biufcV" and dtype.type is not np.void


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether it holds real or complex numbers, including the types of `ml_dtypes`."""
    if not is_numeric(dtype) or dtype.kind not in "fcV":
        return False
    return bool(np.asarray(0.5).astype(dtype) != 0)


def following_axes(shapes: Sequence[tuple[int, ...]], rows: Sequence[int]) -> list[int]:
    """The axes whose length is the number of rows in every run; none if ranks differ."""
    if len({len(shape) for shape in shapes}) != 1:
        return []
    lengths = zip(*shapes, strict=True)
    return [axis for axis, seen in enumerate(lengths) if seen == tuple(rows)]


def _apart(left: Array, right: Array) -> tuple[npt.NDArray[Any], float]:
    """Absolute differences element by element, and the largest finite value of both."""
    wide = np.complex128 if left.dtype.kind == "c" else np.float64
    one, other = left.astype(wide), right.astype(wide)
    with np.errstate(all="ignore"):
        apart = np.abs(one - other)
    alike = (one == other) | (np.isnan(one) & np.isnan(other))
    apart = np.where(alike, 0.0, np.where(np.isfinite(apart), apart, np.inf))
    sizes = np.abs(np.concatenate([one.ravel(), other.ravel()]))
    return apart, float(sizes[np.isfinite(sizes)].max(initial=0.0))
