"""A model on one runtime against the same model on another: equal inputs, the numbers compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trtasync.rows.compare import difference
from trtasync.rows.verdicts import Array, Trial


@dataclass(frozen=True, slots=True)
class Agreement:
    """One output beside that of the reference.

    Attributes:
        output: its name.
        shape: of the output.
        expected: the reference's shape.
        absolute: the largest absolute difference; inf for another shape, or where one of the two
            is finite and the other is not.
        relative: what a tolerance is held against. Of floats: `absolute` as a share of the largest
            finite value of the reference, and `absolute` itself where all of that is 0. Of
            integers and booleans: the share of elements that differ, however much.
    """

    output: str
    shape: tuple[int, ...]
    expected: tuple[int, ...]
    absolute: float
    relative: float


@dataclass(frozen=True, slots=True)
class Health:
    """What an output holds that is no number, with ordinary inputs.

    Attributes:
        output: its name.
        elements: looked at.
        nan: of them.
        infinite: of them.
    """

    output: str
    elements: int = 0
    nan: int = 0
    infinite: int = 0

    def __add__(self, other: "Health") -> "Health":
        """Of the same output, in two runs."""
        return replace(
            self,
            elements=self.elements + other.elements,
            nan=self.nan + other.nan,
            infinite=self.infinite + other.infinite,
        )


def health(output: str, array: Array) -> Health:
    """Count what is no number."""
    if array.dtype.kind in "biuO":
        return Health(output, array.size)
    wide = _wide(array)
    nan, infinite = np.isnan(wide), np.isinf(wide)
    return Health(output, array.size, int(nan.sum()), int(infinite.sum()))


def compare(output: str, array: Array, reference: Array) -> Agreement:
    """One output of one run."""
    if array.shape != reference.shape:
        return Agreement(output, array.shape, reference.shape, np.inf, np.inf)
    absolute = difference(array, reference)
    if reference.dtype.kind in "biuO":
        relative = float(np.mean(array != reference)) if array.size else 0.0
    else:
        largest = _largest(reference)
        relative = absolute / largest if largest and absolute else absolute
    return Agreement(output, array.shape, reference.shape, absolute, relative)


def compare_runs(
    trial: Trial, reference: Trial, runs: Iterable[Sequence[Array]]
) -> tuple[Agreement, ...]:
    """The worst of several runs, output by output, in the order of the reference's outputs.

    Args:
        trial: whose numbers are in doubt.
        reference: another runtime; it has the same inputs and outputs, maybe in another order.
        runs: inputs in the reference's order.

    Raises:
        whatever the runtimes raise.
    """
    names = [spec.name for spec in reference.inputs]
    worst: dict[str, Agreement] = {}
    for arrays in runs:
        expected = reference.run(arrays)
        given = dict(zip(names, arrays, strict=True))
        found = trial.run([given[spec.name].astype(spec.dtype) for spec in trial.inputs])
        outputs = {spec.name: array for spec, array in zip(trial.outputs, found, strict=True)}
        for spec, array in zip(reference.outputs, expected, strict=True):
            agreement = compare(spec.name, outputs[spec.name], array)
            before = worst.get(spec.name, agreement)
            worst[spec.name] = max(before, agreement, key=lambda each: each.relative)
    return tuple(worst.values())


def _largest(array: Array) -> float:
    """The largest finite magnitude; 0 where there is none."""
    sizes = np.abs(_wide(array))
    return float(sizes[np.isfinite(sizes)].max(initial=0.0))


def _wide(array: Array) -> npt.NDArray[Any]:
    """In a type that holds every other, those of `ml_dtypes` included."""
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
