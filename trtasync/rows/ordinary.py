"""Ordinary inputs, with which a model is run to examine its numbers."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from trtasync.errors import InferenceError, InvalidInput
from trtasync.model.arrays import Array
from trtasync.rows.budget import first_line
from trtasync.rows.compare import finite
from trtasync.rows.drawing import drawn, undrawable
from trtasync.rows.inputs import MOST_ROWS, InputAxes, Natural, RowSource
from trtasync.rows.verdicts import Trial

BATCHES: Final = (1, 3)
"""Rows of the runs, or the sizes nearest to them that the model takes."""


def ordinary_runs(
    trial: Trial,
    axes: Mapping[str, int | None],
    *,
    sizes: Sequence[int] | None = None,
    samples: Mapping[str, Array] | None = None,
    seed: int = 0,
) -> list[list[Array]]:
    """Inputs of some runs that the model accepts: natural ones, or drawn until its outputs are
    finite; if they never are, the first ones it accepted.

    Args:
        trial: the model.
        axes: the batch axis of every input, None if it has none.
        sizes: the batch sizes that the model accepts; any by default.
        samples: an array for every input, rows along its batch axis; drawn by default.
        seed: for what is drawn.

    Raises:
        InvalidInput: the samples do not fit, or none can be drawn.
        InferenceError: the model refused everything that was drawn.
    """
    layout = InputAxes.of(trial.inputs, axes)
    chance = np.random.default_rng(seed)
    counts = [1] if all(axis is None for axis in layout.axes) else _counts(sizes)
    if samples is not None:
        source = Natural(layout, in_order(trial, samples), chance)
        return [_run(layout, source, rows) for rows in counts]
    if obstacle := undrawable(layout, max(counts)):
        raise InvalidInput(f"{obstacle}; give samples.")
    refusal, taken = "", None
    for drawing in drawn(layout, chance):
        runs = [_run(layout, drawing, rows) for rows in counts]
        try:
            outputs = [output for arrays in runs for output in trial.run(arrays)]
        except Exception as error:  # runtimes' exceptions share no base class
            refusal = first_line(error)
            continue
        if all(map(finite, outputs)):
            return runs
        taken = taken or runs
    if taken is None:
        raise InferenceError(
            f"the model accepted none of the drawn inputs ({refusal}); give samples."
        )
    return taken


def in_order(trial: Trial, samples: Mapping[str, Array]) -> list[Array]:
    """The samples in the order of the inputs.

    Raises:
        InvalidInput: one is missing, or is for no input.
    """
    names = [spec.name for spec in trial.inputs]
    if samples.keys() != set(names):
        raise InvalidInput(f"samples are needed for {sorted(names)}; got {sorted(samples)}.")
    return [samples[name] for name in names]


def _counts(sizes: Sequence[int] | None) -> list[int]:
    if sizes is None:
        return list(BATCHES)
    counts = sorted({min(sizes, key=lambda size: abs(size - rows)) for rows in BATCHES})
    if counts[-1] > MOST_ROWS:
        raise InvalidInput(
            f"the model takes {counts[-1]} rows at a time, but can be examined with at most "
            f"{MOST_ROWS}; export it with a dynamic batch axis."
        )
    return counts


def _run(layout: InputAxes, source: RowSource, rows: int) -> list[Array]:
    return layout.stack([source.row() for _ in range(rows)], source.shared)
