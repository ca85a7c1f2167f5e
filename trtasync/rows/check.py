"""Tests whether the rows of a model are independent, by running the model."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trtasync.model.arrays import Array
from trtasync.rows.budget import Runs
from trtasync.rows.compare import TOLERANCE
from trtasync.rows.drawing import drawn, undrawable
from trtasync.rows.examination import Counts, Examination
from trtasync.rows.inputs import MOST_ROWS, InputAxes, Natural, RowSource
from trtasync.rows.verdicts import Finding, Trial, Verdict


def check(
    trial: Trial,
    axes: Mapping[str, int | None],
    *,
    deadline: float,
    sizes: Sequence[int] | None = None,
    samples: Sequence[Array] | None = None,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Finding, ...]:
    """Run a model on batches that differ only in the neighbours of one row, and compare that row.

    This always terminates: a model that raises gets other inputs, and a slow one is stopped (along
    with the trial, which accepts no further runs).

    Args:
        trial: the model.
        axes: the batch axis of every input, None if it is shared by all rows. Those of outputs are
            found by the test; given ones are used only if the number of rows cannot be varied.
        deadline: time limit in seconds.
        sizes: the batch sizes that the model accepts; any by default.
        samples: natural values for the inputs, in their order, with or without the batch axis;
            otherwise drawn by type and name.
        tolerance: relative; for a row at another position or among more rows, where other kernels
            may round differently; a plan in TF32 or half precision needs more. Rows with other
            neighbours are always compared bit by bit.
        seed: for all random values: the same seed gives the same runs.
        clock: returns the time in seconds.

    Returns:
        One finding per output, in the model's order: tested, coupled, random or unknown, with the
        axis that was found.

    Raises:
        InvalidInput: the samples do not fit the inputs.
    """
    with Runs(trial, deadline, clock) as runs:
        return examine(runs, trial, axes, CheckSettings(sizes, samples, tolerance, seed))


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """Arguments of `check` shared by several examinations."""

    sizes: Sequence[int] | None
    samples: Sequence[Array] | None
    tolerance: float
    seed: int


def examine(
    runs: Runs, trial: Trial, axes: Mapping[str, int | None], settings: CheckSettings
) -> tuple[Finding, ...]:
    """Like `check`, with a budget that several examinations share."""
    layout = InputAxes.of(trial.inputs, axes)
    outputs = {spec.name: axes.get(spec.name) for spec in trial.outputs}
    counts = Counts.among(settings.sizes)
    if counts is None:
        one = max(settings.sizes or (1,)) == 1
        rows = "one row at a time only" if one else f"no number of rows from 2 to {MOST_ROWS}"
        return _unknown(outputs, f"the model takes {rows}")
    if all(axis is None for axis in layout.axes):
        return _unknown(outputs, "no input has rows")
    samples = settings.samples
    if samples is None and (obstacle := undrawable(layout, counts.base)):
        return _unknown(outputs, obstacle)
    chance = np.random.default_rng(settings.seed)
    sources: Iterable[RowSource] = (
        drawn(layout, chance) if samples is None else [Natural(layout, samples, chance)]
    )
    return Examination(runs, layout, counts, outputs, settings.tolerance).findings(sources)


def _unknown(outputs: Mapping[str, int | None], why: str) -> tuple[Finding, ...]:
    return tuple(Finding(name, Verdict.UNKNOWN, axis, why) for name, axis in outputs.items())
