"""Where trtasync is worse than the best fixed delay *for that load*, in p50, p99 or goodput."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.simulation.study import FIXED, OURS, POLICIES
from trtasync.measure.statistics import spread, spreads

FIGURES = ("p50", "p99", "goodput")
SAME = 0.01
"""Relative difference that counts as none."""

Sample = Mapping[str, Any]
Summary = dict[str, Any]


def summarize(samples: Iterable[Sample]) -> list[Summary]:
    """Per machine, process and load: all seeds together."""
    points: dict[tuple[str, str, float], list[Sample]] = {}
    for sample in samples:
        key = (sample["machine"], sample["process"], sample["load"])
        points.setdefault(key, []).append(sample)
    return [
        {
            "machine": machine,
            "process": process,
            "load": load,
            "policies": {
                name: spreads([seed["cells"][name] for seed in seeds]) for name in POLICIES
            },
            "best fixed delay": {figure: _best(figure, seeds, 0) for figure in FIGURES},
            "best delay above 0": {figure: _best(figure, seeds, 1) for figure in FIGURES},
        }
        for (machine, process, load), seeds in points.items()
    ]


def worse(best: Mapping[str, Any], figure: str) -> bool:
    """trtasync is worse than this best setting, by more than `SAME`."""
    ratio = float(best["ratio"]["median"])
    return ratio < 1 - SAME if figure == "goodput" else ratio > 1 + SAME


def better(best: Mapping[str, Any], figure: str) -> bool:
    """trtasync is better than this best setting, by more than `SAME`."""
    ratio = float(best["ratio"]["median"])
    return ratio > 1 + SAME if figure == "goodput" else ratio < 1 - SAME


def _best(figure: str, seeds: Sequence[Sample], above: int) -> dict[str, Any]:
    """The setting with the best median, and trtasync's figure over it, seed by seed."""
    names = [name for name in seeds[0]["cells"] if name.startswith(FIXED)]
    if above:
        names = [name for name in names if not name.startswith(f"{FIXED} 0.00")]

    def median(name: str) -> float:
        return float(statistics.median(seed["cells"][name][figure] for seed in seeds))

    name = max(names, key=median) if figure == "goodput" else min(names, key=median)
    pairs = [(seed["cells"][OURS][figure], seed["cells"][name][figure]) for seed in seeds]
    return {
        "setting": name.removeprefix(f"{FIXED} "),
        "value": spread(theirs for _, theirs in pairs),
        "ratio": spread(
            ours / theirs if theirs else float(ours > 0) or 1.0 for ours, theirs in pairs
        ),
    }
