"""Finds the batch axes of a model: guesses, each of which is checked."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby, islice, product
from operator import itemgetter
from typing import Final

from trtasync.errors import InvalidInput
from trtasync.model.arrays import Array
from trtasync.model.axes import is_anonymous
from trtasync.model.tensors import TensorSpec
from trtasync.rows.budget import Runs
from trtasync.rows.check import CheckSettings, examine
from trtasync.rows.compare import TOLERANCE
from trtasync.rows.verdicts import Finding, Trial, Verdict

MOST_GUESSES: Final = 24

FoundAxes = dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Inferred:
    """The result of the search.

    Attributes:
        axes: the batch axis of every input and output; None if no guess passed, or several did.
        findings: one per output: for these axes, or for the first guess if there are none.
        why: why there are no axes; "" if there are.
    """

    axes: FoundAxes | None
    findings: tuple[Finding, ...]
    why: str = ""


def find_axes(
    trial: Trial,
    guess: Mapping[str, int | None],
    *,
    deadline: float,
    sizes: Sequence[int] | None = None,
    samples: Sequence[Array] | None = None,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Inferred:
    """Find the batch axes by means of `check`.

    The guess is accepted if it passes. Otherwise other axes are tried, those with a common name
    before those without names, and accepted if exactly one choice passes: among several, only the
    user knows which one is meant.

    Args:
        trial: the model.
        guess: the axes suggested by the file, by name of input; other inputs are shared.
        deadline: time limit in seconds for the whole search.
        sizes: see `check`.
        samples: see `check`.
        tolerance: see `check`.
        seed: see `check`.
        clock: see `check`.

    Raises:
        InvalidInput: the samples do not fit the inputs.
    """
    settings = CheckSettings(sizes, samples, tolerance, seed)
    with Runs(trial, deadline, clock) as runs:
        first = examine(runs, trial, guess, settings)
        if _passed(first):
            return Inferred(_axes(trial, guess, first), first)
        right: list[Inferred] = []
        evidence = _evidence({}, first)
        others = islice(guesses(trial.inputs, guess), MOST_GUESSES - 1)
        for _, alike in groupby(others, key=itemgetter(0)):
            for _, axes in alike:
                if runs.over:
                    break
                try:
                    found = examine(runs, trial, axes, settings)
                except InvalidInput:  # samples that fit the guess need not fit other axes
                    continue
                evidence = evidence or _evidence(axes, found)
                if _passed(found):
                    right.append(Inferred(_axes(trial, axes, found), found))
            if right:
                break
        if runs.over:
            return Inferred(None, first, "time ended before all choices of axes were tried")
        if len(right) == 1:
            return right[0]
        if right:
            choices = " or ".join(str(one.axes) for one in right[:2])
            return Inferred(None, first, f"more than one choice of axes would do: {choices}")
        return Inferred(None, first, f"no choice of axes passed the check{evidence}")


class Ground(IntEnum):
    """Reasons why axes may be batch axes, best first."""

    NAME = 0
    NAMELESS = 1
    ANY = 2


def guesses(
    inputs: Sequence[TensorSpec], first: Mapping[str, int | None]
) -> Iterator[tuple[Ground, FoundAxes]]:
    """List the choices of axes that the declared shapes allow, except the first; most likely first.

    The batch axis has the same name in all inputs with rows, or no name in any, or different names.
    A name that occurs twice in a tensor cannot name a batch axis: both axes would have to grow.
    """
    seen: list[FoundAxes] = [{spec.name: first.get(spec.name) for spec in inputs}]
    for ground, options in _options(inputs):
        for choice in product(*options):
            axes = dict(zip((spec.name for spec in inputs), choice, strict=True))
            if axes not in seen and any(axis is not None for axis in choice):
                seen.append(axes)
                yield ground, axes


def _options(
    inputs: Sequence[TensorSpec],
) -> Iterator[tuple[Ground, list[list[int | None]]]]:
    """The possible axes of each input, including None if it may be shared."""
    dynamic = [_candidates(spec) for spec in inputs]
    names = Counter(
        name
        for spec, axes in zip(inputs, dynamic, strict=True)
        for axis in axes
        if (name := _name(spec, axis)) is not None
    )
    nameless = [
        [*(axis for axis in axes if _name(spec, axis) is None), None]
        for spec, axes in zip(inputs, dynamic, strict=True)
    ]
    for name, _ in names.most_common():
        options: list[list[int | None]] = [
            [axis for axis in axes if _name(spec, axis) == name] or otherwise
            for spec, axes, otherwise in zip(inputs, dynamic, nameless, strict=True)
        ]
        yield Ground.NAME, options
    yield Ground.NAMELESS, nameless
    yield Ground.ANY, [[*axes, None] for axes in dynamic]


def _candidates(spec: TensorSpec) -> list[int]:
    dynamic = [axis for axis, dim in enumerate(spec.shape) if not isinstance(dim, int)]
    count = Counter(_name(spec, axis) for axis in dynamic)
    return [axis for axis in dynamic if (name := _name(spec, axis)) is None or count[name] == 1]


def _name(spec: TensorSpec, axis: int) -> str | None:
    """The name of a dynamic axis; None if it has no meaning."""
    dim = spec.shape[axis]
    return dim if isinstance(dim, str) and not is_anonymous(dim) else None


def _passed(findings: Sequence[Finding]) -> bool:
    return all(finding.verdict is Verdict.TESTED for finding in findings)


def _evidence(axes: FoundAxes, findings: Sequence[Finding]) -> str:
    """End a clause with the evidence of a coupling found along axes other than the first guess."""
    for finding in findings:
        if finding.verdict is Verdict.COUPLED:
            where = f"; with {axes}, {finding.output}: " if axes else "; "
            return f"{where}{finding.why}"
    return ""


def _axes(trial: Trial, inputs: Mapping[str, int | None], findings: Sequence[Finding]) -> FoundAxes:
    return {
        **{spec.name: inputs.get(spec.name) for spec in trial.inputs},
        **{finding.output: finding.axis for finding in findings},
    }
