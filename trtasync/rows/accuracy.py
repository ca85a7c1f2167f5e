"""Compares a model on one runtime with the same model on another, on equal inputs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trtasync.errors import InvalidInput
from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec
from trtasync.rows.compare import difference
from trtasync.rows.verdicts import Trial


@dataclass(frozen=True, slots=True)
class Agreement:
    """One output compared with that of the reference.

    Attributes:
        output: its name.
        shape: its shape.
        expected: the reference's shape.
        absolute: the largest absolute difference; inf if shapes differ, or if one of two elements
            is finite and the other is not.
        relative: what is compared with the tolerance. For floats: `absolute` relative to the
            largest finite value of the reference, or `absolute` itself if all of that is 0. For
            integers and booleans: the fraction of elements that differ, by any amount.
    """

    output: str
    shape: tuple[int, ...]
    expected: tuple[int, ...]
    absolute: float
    relative: float

    def complaint(self, tolerance: float) -> str:
        """Describe, in a clause, a `relative` that exceeds the tolerance."""
        name = f"output '{self.output}'"
        if self.shape != self.expected:
            return f"{name} has shape {list(self.shape)}, in ONNX Runtime {list(self.expected)}"
        return (
            f"{name} differs from ONNX Runtime by {self.relative:.3g}, more than {tolerance:g} "
            f"({self.absolute:.3g} absolute)"
        )


@dataclass(frozen=True, slots=True)
class Health:
    """NaN and inf values of an output, with ordinary inputs.

    Attributes:
        output: its name.
        elements: elements examined.
        nan: how many are NaN.
        infinite: how many are inf.
    """

    output: str
    elements: int = 0
    nan: int = 0
    infinite: int = 0

    def __add__(self, other: "Health") -> "Health":
        """Add the counts of the same output from two runs."""
        return replace(
            self,
            elements=self.elements + other.elements,
            nan=self.nan + other.nan,
            infinite=self.infinite + other.infinite,
        )


def health(output: str, array: Array) -> Health:
    """Count NaN and inf values."""
    if array.dtype.kind in "biuO":
        return Health(output, array.size)
    wide = _wide(array)
    nan, infinite = np.isnan(wide), np.isinf(wide)
    return Health(output, array.size, int(nan.sum()), int(infinite.sum()))


def compare(output: str, array: Array, reference: Array) -> Agreement:
    """Compare one output of one run."""
    if array.shape != reference.shape:
        return Agreement(output, array.shape, reference.shape, np.inf, np.inf)
    absolute = difference(array, reference)
    if reference.dtype.kind in "biuO":
        relative = float(np.mean(array != reference)) if array.size else 0.0
    else:
        largest = _largest(reference)
        relative = absolute / largest if largest and absolute else absolute
    return Agreement(output, array.shape, reference.shape, absolute, relative)


@dataclass(frozen=True, slots=True)
class Numbers:
    """One output over all runs.

    Attributes:
        health: its NaN and inf values.
        agreement: the worst one; None without a reference.
    """

    health: Health
    agreement: Agreement | None = None


def look_at(
    trial: Trial, runs: Iterable[Sequence[Array]], reference: Trial | None = None
) -> tuple[Numbers, ...]:
    """Run a model and examine its outputs.

    Args:
        trial: the model.
        runs: the inputs of each run, in the model's order.
        reference: the same model on another runtime, whose tensors may be in another order.

    Raises:
        InvalidInput: the reference has other inputs or outputs.
        TrtasyncError: as from the runtimes.
    """
    if reference is not None:
        _demand_alike("inputs", trial.inputs, reference.inputs)
        _demand_alike("outputs", trial.outputs, reference.outputs)
    found = [Numbers(Health(spec.name)) for spec in trial.outputs]
    for arrays in runs:
        outputs = trial.run(arrays)
        expected = {} if reference is None else _expected(trial, arrays, reference)
        found = [
            _added(numbers, array, expected.get(numbers.health.output))
            for numbers, array in zip(found, outputs, strict=True)
        ]
    return tuple(found)


def _demand_alike(what: str, specs: Sequence[TensorSpec], expected: Sequence[TensorSpec]) -> None:
    names, others = ({spec.name for spec in each} for each in (specs, expected))
    if names != others:
        raise InvalidInput(
            f"the {what} are {sorted(names)}, but those of the reference model {sorted(others)}; "
            "give the model that the plan was built from; shape tensors cannot be compared."
        )


def _expected(trial: Trial, arrays: Sequence[Array], reference: Trial) -> dict[str, Array]:
    given = dict(zip((spec.name for spec in trial.inputs), arrays, strict=True))
    outputs = reference.run(
        [given[spec.name].astype(spec.dtype, copy=False) for spec in reference.inputs]
    )
    return dict(zip((spec.name for spec in reference.outputs), outputs, strict=True))


def _added(numbers: Numbers, array: Array, reference: Array | None) -> Numbers:
    name, agreement = numbers.health.output, numbers.agreement
    if reference is not None:
        latest = compare(name, array, reference)
        if agreement is None or latest.relative > agreement.relative:
            agreement = latest
    return Numbers(numbers.health + health(name, array), agreement)


def _largest(array: Array) -> float:
    """The largest finite magnitude; 0 if there is none."""
    sizes = np.abs(_wide(array))
    return float(sizes[np.isfinite(sizes)].max(initial=0.0))


def _wide(array: Array) -> npt.NDArray[Any]:
    """Convert to a type wide enough for all others, including those of `ml_dtypes`."""
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
