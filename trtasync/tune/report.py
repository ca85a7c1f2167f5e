"""The result of a tuning: the recommendation, the call to paste, the curve, and JSON."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from trtasync.measure.loads import Load, Open, as_json
from trtasync.tune.choice import Recommendation, Standing
from trtasync.tune.probes import Outcome, Result
from trtasync.tune.settings import Settings
from trtasync.tune.space import Config
from trtasync.tune.subject import Subject, quoted

SCHEMA = 1
"""Incremented when a name in the JSON changes its meaning or is removed."""

LINE = 50
"""Most characters of arguments on one line of code."""

Ended = Literal["settled", "budget", "interrupted"]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One load of the recommended configuration.

    Attributes:
        load: the load.
        requests_per_second: answered requests, median of the measurements.
        p50: median latency in seconds; None if nothing was answered.
        p99: 99th percentile; None if more than one in a hundred had no answer.
        batch_mean: mean rows in a batch.
        measured: number of measurements.
    """

    load: Load
    requests_per_second: float
    p50: float | None
    p99: float | None
    batch_mean: float | None
    measured: int


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `run`.

    Attributes:
        subject: the model and the search space.
        settings: how it was measured.
        verdict: the recommendation, its reason, and the standing of every configuration.
        results: every measurement, in order.
        ended: "settled": the search finished. "budget": the time was up before, and the
            recommendation is the best of the measured ones. "interrupted": likewise.
        reused: measurements taken from an earlier run.
        state: the file that keeps them; "" for none.
    """

    subject: Subject
    settings: Settings
    verdict: Recommendation
    results: Sequence[Result]
    ended: Ended
    reused: int
    state: str

    @property
    def recommended(self) -> Config | None:
        """The recommended configuration; None if nothing ran, or nothing met the goal."""
        chosen = self.verdict.recommended
        return None if chosen is None else chosen.config

    @property
    def options(self) -> dict[str, Any] | None:
        """Options of `open_engine`, without the model; None without a recommendation."""
        if self.recommended is None:
            return None
        return {**self.subject.options, **self.subject.space.options(self.recommended)}

    @property
    def call(self) -> str:
        """The call of `open_engine`, ready to paste; "" without a recommendation."""
        if self.options is None:
            return ""
        given = {name: value for name, value in self.options.items() if value is not None}
        words = [self.subject.call, *(f"{name}={quoted(value)}" for name, value in given.items())]
        inside = ", ".join(words)
        if len(inside) > LINE:
            inside = "".join(f"\n    {word}," for word in words) + "\n"
        lines = ["import trtasync", "", *filter(None, [self.subject.before])]
        opening = f"async with trtasync.open_engine({inside}) as engine:"
        return "\n".join([*lines, opening, "    ..."])

    @property
    def spent(self) -> float:
        """Seconds of measuring, including an earlier run."""
        return sum(each.outcome.seconds for each in self.results)

    @property
    def curve(self) -> list[CurvePoint]:
        """The recommended configuration under all loads it was measured with: one caller, ascending
        rates, and the callers that fill it."""
        if self.recommended is None:
            return []
        found: dict[Load, list[Outcome]] = {}
        for each in self.results:
            if each.probe.config == self.recommended and not each.outcome.failure:
                found.setdefault(each.probe.load, []).append(each.outcome)
        return [_point(load, found[load]) for load in sorted(found, key=_order)]

    def to_json(self) -> dict[str, Any]:
        """Convert everything for `json.dumps`; `docs/tuning.md` explains the names."""
        how, space, verdict = self.settings, self.subject.space, self.verdict
        nearest = verdict.nearest
        return {
            "name": "trtasync tune",
            "schema": SCHEMA,
            "model": self.subject.name,
            "backend": self.subject.backend,
            **self.subject.about,
            "parameters": {
                "p99": how.p99,
                "budget": how.budget,
                "seconds": how.seconds,
                "warm_up": how.warm_up,
                "rounds": how.rounds,
                "loop": how.loop,
                "rows": how.inputs.rows,
                "options": {name: str(value) for name, value in self.subject.options.items()},
                "streams": list(space.streams),
                "max_batch_size": list(space.max_batch_size),
                "buckets": list(space.buckets),
                "graphs": list(space.graphs),
                "threads": list(space.threads),
            },
            "ended": self.ended,
            "spent": round(self.spent, 3),
            "measurements": len(self.results),
            "reused": self.reused,
            "recommended": None if self.recommended is None else asdict(self.recommended),
            "options": None
            if self.recommended is None
            else self.subject.space.options(self.recommended),
            "call": self.call,
            "why": verdict.why,
            "nearest": None
            if nearest is None
            else {**asdict(nearest), "p99": finite(nearest.p99), "name": nearest.config.name},
            "tied": [each.config.name for each in verdict.tied],
            "configurations": [_standing(each) for each in verdict.standings],
            "curve": [
                {**asdict(point), "load": as_json(point.load), "name": point.load.name}
                for point in self.curve
            ],
            "results": [
                {
                    "config": each.probe.config.name,
                    "load": as_json(each.probe.load),
                    "turn": each.probe.turn,
                    "seconds": round(each.outcome.seconds, 3),
                    "failure": each.outcome.failure,
                    "figures": dict(each.outcome.figures),
                }
                for each in self.results
            ],
        }

    def dumps(self) -> str:
        """`to_json` as text."""
        return json.dumps(self.to_json(), indent=1)


def finite(value: float | None) -> float | None:
    """Replace infinity, which JSON cannot represent, by None."""
    return None if value is None or math.isinf(value) else value


def _point(load: Load, outcomes: Sequence[Outcome]) -> CurvePoint:
    def median(name: str, scale: float = 1.0) -> float | None:
        values = [each.figures[name] * scale for each in outcomes if name in each.figures]
        return statistics.median(values) if values else None

    return CurvePoint(
        load=load,
        requests_per_second=statistics.median(each.rate for each in outcomes),
        p50=median("latency_p50_us", 1e-6),
        p99=finite(statistics.median(each.p99 for each in outcomes)),
        batch_mean=median("batch_mean"),
        measured=len(outcomes),
    )


def _order(load: Load) -> tuple[int, float]:
    """A sort key: one caller is the smallest load, callers that fill all streams the largest."""
    if isinstance(load, Open):
        return 1, load.rate
    return (0 if load.concurrency == 1 else 2), load.concurrency


def _standing(each: Standing) -> dict[str, Any]:
    return {
        "name": each.config.name,
        "config": asdict(each.config),
        "requests_per_second": each.score,
        "samples": list(each.samples),
        "p99": finite(each.p99),
        "repeated": each.repeated,
        "below": each.below,
        "failure": each.failure,
    }
