"""Do the rows of a model influence each other? Asked of the model itself."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from trtasync.rows.budget import Runs
from trtasync.rows.examination import Counts, Examination
from trtasync.rows.inputs import Layout, Natural, Source, drawn, undrawable
from trtasync.rows.verdicts import Array, Finding, Trial, Verdict


def check(
    trial: Trial,
    axes: Mapping[str, int | None],
    *,
    deadline: float,
    sizes: Sequence[int] | None = None,
    samples: Sequence[Array] | None = None,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Finding, ...]:
    """Run a model on batches that differ in one row's neighbours only, and compare.

    Whatever the model does, this ends: a model that raises gets other inputs, one that is slow is
    stopped (and the trial with it: it takes no runs after that).

    Args:
        trial: the model.
        axes: the batch axis of every input, None where it is shared by all rows; of outputs it is
            found, and what is given helps only where the number of rows cannot be varied.
        deadline: seconds from now.
        sizes: numbers of rows the model takes; any by default.
        samples: natural values for the inputs, in their order, with or without the batch axis;
            drawn by type and name otherwise.
        seed: of all that is drawn: the same seed gives the same runs.
        clock: seconds.

    Returns:
        One finding per output, in the model's order: tested, coupled, random or unknown. Its axis
        is the one that was found.

    Raises:
        InvalidInput: the samples do not fit the inputs.
    """
    with Runs(trial, deadline, clock) as runs:
        return examine(runs, trial, axes, sizes=sizes, samples=samples, seed=seed)


def examine(
    runs: Runs,
    trial: Trial,
    axes: Mapping[str, int | None],
    *,
    sizes: Sequence[int] | None,
    samples: Sequence[Array] | None,
    seed: int,
) -> tuple[Finding, ...]:
    """`check`, with runs of a budget that several examinations share."""
    layout = Layout.of(trial.inputs, axes)
    outputs = {spec.name: axes.get(spec.name) for spec in trial.outputs}
    counts = Counts.among(sizes)
    if counts is None:
        return _unknown(outputs, "the model takes one row at a time only")
    if all(axis is None for axis in layout.axes):
        return _unknown(outputs, "no input has rows")
    if samples is None and (obstacle := undrawable(layout)):
        return _unknown(outputs, obstacle)
    chance = np.random.default_rng(seed)
    sources: Iterable[Source] = (
        drawn(layout, chance) if samples is None else [Natural(layout, samples, chance)]
    )
    return Examination(runs, layout, counts, outputs).findings(sources)


def _unknown(outputs: Mapping[str, int | None], why: str) -> tuple[Finding, ...]:
    return tuple(Finding(name, Verdict.UNKNOWN, axis, why) for name, axis in outputs.items())
