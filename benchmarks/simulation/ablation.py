"""The value of each rule of the policy: it is switched off, and everything else stays.

The switches are here; the policy has none. Each replaces a method or a number of the scheduler
during one run, so that arrivals and noise are those of the run with all rules.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

from benchmarks.simulation import ours, world
from benchmarks.simulation.figures import Figures
from benchmarks.simulation.ours import Ours
from benchmarks.simulation.scenarios import SCENARIOS
from benchmarks.simulation.shapes import in_time
from benchmarks.simulation.study import Point
from trtasync.measure.statistics import Spread, rounded, spread
from trtasync.scheduler import PolicyOptions, dispatch, trimming
from trtasync.scheduler.cost import CostCurve
from trtasync.scheduler.devices import DeviceState
from trtasync.scheduler.fits import Fit
from trtasync.scheduler.spreading import Spreading
from trtasync.scheduler.trimming import Trimming

Switch = Callable[[], AbstractContextManager[Any]]
swap = partial(partial, patch.object)


@contextmanager
def _no_haste() -> Iterator[None]:
    """Neither for batches that go nor for those that are cut: each reads its own name."""
    with patch.object(dispatch, "HASTE", 0.0), patch.object(trimming, "HASTE", 0.0):
        yield


WHOLE = "all rules"
CHANCE = "nothing, other noise"
"""What differs by chance alone."""

RULES: dict[str, Switch] = {
    WHOLE: nullcontext,
    CHANCE: swap(world, "Random", lambda seed: Random(f"{seed}/again")),
    "cutting": swap(Trimming, "cut", lambda *_: []),
    "spreading": swap(Spreading, "spread", lambda *_: None),
    "sizes that fit deadlines": swap(Fit, "shrink", lambda *_: None),
    "pressing": swap(dispatch, "HASTE", -math.inf),
    "nothing beside the pressed": swap(DeviceState, "pressed", False),
    "patience": swap(dispatch, "PATIENCE", 0.0),
    "contention, learned (0.5 instead)": swap(CostCurve, "contention", lambda *_: 0.5),
    "contention, learned (1 instead)": swap(CostCurve, "contention", lambda *_: 1.0),
    "haste": _no_haste,
    "lead": swap(ours, "PolicyOptions", lambda **given: PolicyOptions(**{**given, "lead": 0.0})),
}

TIGHT = 1.5
"""A tight deadline, in times of what a full batch takes."""

FIGURES = {"p50": -1, "p99": -1, "goodput": 1, "tight goodput": 1, "short beside long": 1}
"""What is compared, and whether more of it is better."""

SAME = 0.01
"""Relative difference that counts as none."""

LEAST = 1e-9
"""Stands for nothing, which has no ratio."""

Sample = Mapping[str, Any]


def measure(point: Point) -> dict[str, Any]:
    """The figures of one set of arrivals, served without each rule in turn."""
    cells = {}
    for name, switch in RULES.items():
        with switch():
            cells[name] = _figures(point)
    named = {"machine": point.machine, "process": point.process, "load": point.load}
    return {**named, "seed": point.seed, "cells": cells}


def _figures(point: Point) -> dict[str, float]:
    """Latencies of callers without deadlines, goodput at two deadlines, and the share of short
    requests that meet the tighter one beside long ones (`shapes`)."""
    machine = SCENARIOS[point.machine]
    tight = TIGHT * machine.seconds(machine.largest)

    def run(patience: float = math.inf) -> Figures:
        return point.run(lambda machine, _: Ours(machine), patience)

    patient = run()
    found = {
        "p50": patient.p50,
        "p99": patient.p99,
        "goodput": run(machine.patience).goodput,
        "tight goodput": run(tight).goodput,
        "short beside long": in_time(
            machine, point.process, point.load, tight, point.requests, point.seed
        ),
    }
    return rounded(found, 4)


def summarize(samples: Sequence[Sample]) -> dict[str, dict[str, dict[str, float]]]:
    """Rule -> figure -> its value without the rule, relative to that with all rules.

    `mean` and `worst` are of the points (machine, process, load), each the median of its seeds;
    `worse` and `better` count the points where every seed is.
    """
    points: dict[tuple[str, str, float], list[Sample]] = {}
    for sample in samples:
        points.setdefault((sample["machine"], sample["process"], sample["load"]), []).append(sample)
    return {
        rule: {
            figure: _effect([_ratio(rule, figure, seeds) for seeds in points.values()], sign)
            for figure, sign in FIGURES.items()
        }
        for rule in RULES
        if rule != WHOLE
    }


def _ratio(rule: str, figure: str, seeds: Sequence[Sample]) -> Spread:
    pairs = [(seed["cells"][rule][figure], seed["cells"][WHOLE][figure]) for seed in seeds]
    return spread((without + LEAST) / (whole + LEAST) for without, whole in pairs)


def _effect(ratios: Sequence[Spread], sign: int) -> dict[str, float]:
    higher = sum(ratio["min"] > 1 + SAME for ratio in ratios)
    lower = sum(ratio["max"] < 1 - SAME for ratio in ratios)
    medians = [max(ratio["median"], LEAST) for ratio in ratios]
    return {
        "mean": float(f"{statistics.geometric_mean(medians):.4g}"),
        "worst": min(medians) if sign > 0 else max(medians),
        "worse": lower if sign > 0 else higher,
        "better": higher if sign > 0 else lower,
    }


def table(summary: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """In Markdown."""
    lines = [f"| without | {' | '.join(FIGURES)} |", f"|---|{'---:|' * len(FIGURES)}"]
    lines += [
        f"| {rule} | {' | '.join(_cell(effect) for effect in figures.values())} |"
        for rule, figures in summary.items()
    ]
    return "\n".join(lines)


def _cell(effect: Mapping[str, float]) -> str:
    if not effect["worse"] and not effect["better"]:
        return "same"
    return (
        f"{effect['mean']:.2f} ({effect['worst']:.2f}), {effect['worse']:g} : {effect['better']:g}"
    )
