"""Inputs and outputs in reports."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trtasync.model.tensors import Dim, ModelSpec, TensorSpec
from trtasync.rows import Batching
from trtasync.rows.judge import Evidence, judge


@dataclass(frozen=True, slots=True)
class TensorReport:
    """One input or output.

    Attributes:
        name: the name of the tensor.
        dtype: the name in numpy (or ml_dtypes).
        shape: per axis its length, its name, or None for a dynamic axis without one.
        host: a shape tensor, whose values are read in host memory.
        batch_axis: the axis of its rows; None if it has none.
    """

    name: str
    dtype: str
    shape: tuple[Dim, ...]
    host: bool = False
    batch_axis: int | None = None


def reports(specs: Iterable[TensorSpec]) -> tuple[TensorReport, ...]:
    """Describe a model's inputs or outputs."""
    return tuple(
        TensorReport(spec.name, str(spec.dtype), spec.shape, spec.host, spec.batch_axis)
        for spec in specs
    )


def as_said(
    spec: ModelSpec, batching: Batching, batch_axes: Mapping[str, int | None] | None
) -> ModelSpec:
    """Make the spec from the file and the user's options, without running anything.

    Raises:
        InvalidInput: `batch_axes` names a tensor or axis that does not exist, or the batch axes of
            rows to be batched are unknown.
    """
    if batch_axes:
        spec = ModelSpec.from_tensors(spec.inputs, spec.outputs, batch_axes)
    wanted: Batching = batching if isinstance(batching, bool) else "auto"
    settled, _ = judge(spec, wanted, Evidence(trial=None))
    return settled
