"""Inputs and outputs, as reports name them."""

from collections.abc import Iterable
from dataclasses import dataclass

from trtasync.tensors import Dim, TensorSpec


@dataclass(frozen=True, slots=True)
class TensorReport:
    """One input or output.

    Attributes:
        name: of the tensor.
        dtype: numpy's (or ml_dtypes') name.
        shape: per axis its length, its name, or None for a dynamic axis without one.
        host: a shape tensor, whose values are read in host memory.
    """

    name: str
    dtype: str
    shape: tuple[Dim, ...]
    host: bool = False


def reports(specs: Iterable[TensorSpec]) -> tuple[TensorReport, ...]:
    """Of a model's inputs or outputs."""
    return tuple(TensorReport(s.name, str(s.dtype), s.shape, s.host) for s in specs)
