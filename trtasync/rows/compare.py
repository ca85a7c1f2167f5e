"""Rows compared: bit by bit where the run was alike, within a tolerance where it was not."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trtasync.rows.verdicts import Array

TOLERANCE: Final = 1e-4
"""Relative. At another place or in a batch of another size independent rows moved by up to 8e-6
(1 685 backend tests, 56 real models, on a CPU); couplings that only show there, by far more."""

ROUNDINGS: Final = 16
"""So many units in the last place of a half-precision output are rounding as well."""


def row(output: Array, axis: int, place: int) -> Array:
    """One row of an output, without the axis along which rows lie."""
    index: tuple[Any, ...] = (*[slice(None)] * axis, place)
    return np.asarray(output[index])


def same_bits(left: Array, right: Array) -> bool:
    """Equal shapes and equal bytes: a NaN equals itself, and 0 is not -0."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.dtype.hasobject:
        return repr(left.tolist()) == repr(right.tolist())
    return left.tobytes() == right.tobytes()


def difference(left: Array, right: Array) -> float:
    """The largest absolute difference; inf for other shapes, or where one is finite alone."""
    if same_bits(left, right):
        return 0.0
    if left.shape != right.shape or not is_numeric(left.dtype):
        return float("inf")
    apart, _ = _apart(left, right)
    return float(apart.max(initial=0.0))


def relative_difference(left: Array, right: Array) -> float:
    """`difference` as a share of the largest finite value in both."""
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
    """No NaN and no inf in it."""
    return not is_numeric(output.dtype) or bool(np.isfinite(output).all())


def is_numeric(dtype: np.dtype[Any]) -> bool:
    """Numbers and bools, the types of `ml_dtypes` included."""
    return dtype.kind in "biufcV" and dtype.type is not np.void


def is_float(dtype: np.dtype[Any]) -> bool:
    """Real or complex, the types of `ml_dtypes` included: what can hold one half."""
    if not is_numeric(dtype) or dtype.kind not in "fcV":
        return False
    return bool(np.asarray(0.5).astype(dtype) != 0)


def following_axes(shapes: Sequence[tuple[int, ...]], rows: Sequence[int]) -> list[int]:
    """The axes whose length is the number of rows, run by run; none where ranks differ."""
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
