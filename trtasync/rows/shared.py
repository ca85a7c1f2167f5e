"""Shared inputs may decide whether rows meet: an axis, a number of steps, a mode.

A test speaks only for the values that it tried. Here the integers are tried on which models base
decisions.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec
from trtasync.rows.check import check
from trtasync.rows.verdicts import Finding, Trial, Verdict

VALUES = (0, 1, -1, 2)


class Pinned:
    """A trial that replaces one of its inputs by a fixed value.

    Attributes:
        over: it was stopped, and so was the trial it wraps.
    """

    def __init__(self, trial: Trial, at: int, value: int):
        """Fix one input of a trial.

        Args:
            trial: the model.
            at: the index of the input.
            value: the value of all of its elements.
        """
        self.inputs: tuple[TensorSpec, ...] = trial.inputs
        self.outputs: tuple[TensorSpec, ...] = trial.outputs
        self.over: bool = False
        self._trial = trial
        self._at = at
        self._value = value

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """One run."""
        given = list(arrays)
        given[self._at] = np.full_like(given[self._at], self._value)
        return self._trial.run(given)

    def stop(self) -> None:
        """See `Trial`."""
        self.over = True
        self._trial.stop()

    def close(self) -> None:
        """Do nothing: the trial's owner closes it."""


def deciding(spec_inputs: Sequence[TensorSpec], axes: Mapping[str, int | None]) -> list[int]:
    """Indices of the inputs on which a decision may depend."""
    return [
        at
        for at, spec in enumerate(spec_inputs)
        if axes.get(spec.name) is None and spec.dtype.kind in "biu"
    ]


def vary(
    trial: Trial,
    axes: Mapping[str, int | None],
    tested: Sequence[Finding],
    *,
    deadline: float,
    sizes: Sequence[int] | None = None,
    samples: Sequence[Array] | None = None,
) -> tuple[Finding, ...]:
    """Repeat the test with other values of shared integers.

    A value that the model refuses says nothing; a coupling with any value is a coupling; if time
    runs out before all values were tried, nothing is known.

    Args:
        trial: the model.
        axes: see `check`.
        tested: the findings of `check` with the values that it drew.
        deadline: seconds from now, for everything.
        sizes: see `check`.
        samples: see `check`.
    """
    end = time.monotonic() + deadline
    pins = list(_pins(trial, axes))
    found = {finding.output: finding for finding in tested}
    for left, (pinned, words) in zip(range(len(pins), 0, -1), pins, strict=True):
        share = (end - time.monotonic()) / left
        again = check(pinned, axes, deadline=max(0.0, share), sizes=sizes, samples=samples)
        for finding in again:
            found[finding.output] = _worse(found[finding.output], finding, words)
        if pinned.over or share <= 0:
            return tuple(_unsettled(finding, words) for finding in found.values())
    return tuple(found.values())


def _pins(trial: Trial, axes: Mapping[str, int | None]) -> Iterator[tuple[Pinned, str]]:
    for at in deciding(trial.inputs, axes):
        spec = trial.inputs[at]
        for value in VALUES:
            if value in (0, 1) or spec.dtype.kind == "i" or (value > 0 and spec.dtype.kind == "u"):
                yield Pinned(trial, at, value), f"where '{spec.name}' is {value}"


def _worse(before: Finding, now: Finding, words: str) -> Finding:
    if before.verdict is not Verdict.TESTED or now.verdict is Verdict.UNKNOWN:
        return before
    if now.verdict is not Verdict.TESTED:
        return replace(now, why=f"{words}: {now.why}")
    if now.axis == before.axis:
        return before
    why = f"its rows lie along axis {now.axis} {words}, and along axis {before.axis} elsewhere"
    return replace(before, verdict=Verdict.COUPLED, axis=None, why=why)


def _unsettled(finding: Finding, words: str) -> Finding:
    if finding.verdict is not Verdict.TESTED:
        return finding
    why = f"there was no time to see how it is {words}"
    return replace(finding, verdict=Verdict.UNKNOWN, why=why)
