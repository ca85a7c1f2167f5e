"""The result of a run: medians and spreads per load, ratios within rounds, and JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from trtasync.measure.loads import Load, as_json, distinct
from trtasync.measure.samples import Sample
from trtasync.measure.statistics import Figures, Spread, rounded, spread, spreads

SCHEMA = 1
"""Incremented when a name in the JSON changes its meaning or is removed."""

CURVE = np.concatenate([np.linspace(0, 0.98, 99), 1 - np.geomspace(0.01, 1e-4, 21), [1.0]])
"""Quantiles kept of every load's latencies: evenly spaced, with a tail down to one in 10 000."""


@dataclass(frozen=True, slots=True)
class Point:
    """One load over all rounds.

    Attributes:
        load: the load.
        figures: name -> median, min, max over the rounds.
        batch_sizes: rows in a batch -> number of batches, over all rounds.
        latency_curve: (quantile, microseconds) of the latencies of all rounds.
    """

    load: Load
    figures: Mapping[str, Spread]
    batch_sizes: Mapping[int, int]
    latency_curve: Sequence[tuple[float, float]]

    def median(self, figure: str) -> float | None:
        """Return the median of a `figure` over all rounds; None if it was not measured."""
        found = self.figures.get(figure)
        return None if found is None else found["median"]


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `run`.

    Attributes:
        model: the name of the model.
        backend: the name of the backend.
        about: date, commit, hardware, versions.
        parameters: the settings of the run.
        samples: all samples, in the order in which they were taken.
        yardsticks: name -> the figures of each round (with `compare`).
        ended: "interrupted" (Ctrl-C) if loads, rounds or the trace are missing.
    """

    model: str
    backend: str
    about: Mapping[str, Any]
    parameters: Mapping[str, Any]
    samples: Sequence[Sample]
    yardsticks: Mapping[str, Sequence[Figures]] = field(default_factory=dict)
    ended: Literal["complete", "interrupted"] = "complete"

    @property
    def points(self) -> list[Point]:
        """One point per load, in order."""
        loads = distinct(sample.load for sample in self.samples)
        return [_point(load, [s for s in self.samples if s.load == load]) for load in loads]

    @property
    def ratios(self) -> dict[str, dict[str, Spread]]:
        """Yardstick -> load -> rows per second relative to the yardstick's, within each round that
        has both."""
        found: dict[str, dict[str, Spread]] = {}
        for name, rounds in self.yardsticks.items():
            shares: dict[str, list[float]] = {}
            for sample in self.samples:
                if sample.round <= len(rounds):
                    share = sample.figures["rows_per_second"]
                    share /= rounds[sample.round - 1]["rows_per_second"]
                    shares.setdefault(sample.load.name, []).append(share)
            found[name] = {load: spread(each) for load, each in shares.items()}
        return found

    def to_json(self) -> dict[str, Any]:
        """Convert everything for `json.dumps`; `docs/benchmarking.md` explains the names."""
        return {
            "name": "trtasync bench",
            "schema": SCHEMA,
            "model": self.model,
            "backend": self.backend,
            "ended": self.ended,
            **self.about,
            "parameters": dict(self.parameters),
            "points": [_point_json(point) for point in self.points],
            "yardsticks": {
                name: {
                    "figures": spreads(rounds),
                    "samples": [rounded(each) for each in rounds],
                }
                for name, rounds in self.yardsticks.items()
            },
            "ratios": self.ratios,
            "samples": [
                {"load": sample.load.name, "round": sample.round, **rounded(sample.figures)}
                for sample in self.samples
            ],
        }

    def dumps(self) -> str:
        """`to_json` as text."""
        return json.dumps(self.to_json(), indent=1)


def _point(load: Load, samples: Sequence[Sample]) -> Point:
    sizes: Counter[int] = Counter()
    for sample in samples:
        sizes.update(sample.batch_sizes)
    latencies = np.concatenate([sample.latencies for sample in samples])
    values = np.quantile(latencies, CURVE) * 1e6 if len(latencies) else ()
    curve = [(float(q), float(v)) for q, v in zip(CURVE, values, strict=False)]
    figures = spreads([sample.figures for sample in samples])
    return Point(load, figures, dict(sorted(sizes.items())), curve)


def _point_json(point: Point) -> dict[str, Any]:
    return {
        "name": point.load.name,
        "load": as_json(point.load),
        "figures": dict(point.figures),
        "batch_sizes": {str(size): count for size, count in point.batch_sizes.items()},
        "latency_curve_us": [[round(q, 6), round(v, 2)] for q, v in point.latency_curve],
    }
