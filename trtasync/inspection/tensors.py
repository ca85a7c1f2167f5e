"""Inputs and outputs, as reports name them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trtasync.model.tensors import Dim, ModelSpec, TensorSpec
from trtasync.rows import Batching
from trtasync.rows.judge import Evidence, judge


@dataclass(frozen=True, slots=True)
class TensorReport:
    """One input or output.

    Attributes:
        name: of the tensor.
        dtype: numpy's (or ml_dtypes') name.
        shape: per axis its length, its name, or None for a dynamic axis without one.
        host: a shape tensor, whose values are read in host memory.
        batch_axis: along which its rows lie; None for one without rows.
    """

    name: str
    dtype: str
    shape: tuple[Dim, ...]
    host: bool = False
    batch_axis: int | None = None


def reports(specs: Iterable[TensorSpec]) -> tuple[TensorReport, ...]:
    """Of a model's inputs or outputs."""
    return tuple(
        TensorReport(spec.name, str(spec.dtype), spec.shape, spec.host, spec.batch_axis)
        for spec in specs
    )


def as_said(
    spec: ModelSpec, batching: Batching, batch_axes: Mapping[str, int | None] | None
) -> ModelSpec:
    """A spec as the file and the user have it; nothing is run.

    Raises:
        InvalidInput: `batch_axes` names what is not there, or nothing says where the rows lie that
            are to be batched.
    """
    if batch_axes:
        spec = ModelSpec.from_tensors(spec.inputs, spec.outputs, batch_axes)
    wanted: Batching = batching if isinstance(batching, bool) else "auto"
    settled, _ = judge(spec, wanted, Evidence(trial=None))
    return settled
