"""A recommendation, with its reason, from measurements, which may be incomplete. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from trtasync.measure.loads import Closed, Open
from trtasync.tune.probes import CURVE, EXPLORING, Aim, Outcome, Result, written_rate
from trtasync.tune.space import Config, Space

TIE = 0.02
"""Fraction of the best throughput by which a simpler configuration may be slower."""

WIDEST_TIE = 0.05
"""The same, if the difference is within the spread of the rounds."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The result of a configuration.

    Attributes:
        config: the configuration.
        score: requests per second: the median at full load, or the highest rate that met the goal;
            None if it failed, missed the goal, or was dropped.
        samples: the rates behind the score, one per round.
        p99: median of the 99th percentiles at that score, in seconds.
        repeated: the score is from the finals.
        below: with a goal: requests per second at which it missed the goal, or its capacity.
        failure: why it cannot be used.
        figures: the last measurement behind the score.
    """

    config: Config
    score: float | None = None
    samples: tuple[float, ...] = ()
    p99: float | None = None
    repeated: bool = False
    below: float | None = None
    failure: str = ""
    figures: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Nearest:
    """The lowest 99th percentile, if nothing met the goal.

    Attributes:
        config: its configuration.
        rate: offered requests per second.
        p99: the percentile in seconds.
    """

    config: Config
    rate: float
    p99: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A recommendation and its basis.

    Attributes:
        recommended: None if nothing ran, or nothing met the goal.
        best: the highest score.
        tied: those that cannot be distinguished from the best.
        standings: all, in descending order of the score.
        nearest: if nothing met the goal.
        why: the reason in a sentence.
    """

    recommended: Standing | None
    best: Standing | None
    tied: tuple[Standing, ...]
    standings: tuple[Standing, ...]
    nearest: Nearest | None
    why: str


def recommend(results: Sequence[Result], space: Space, aim: Aim) -> Recommendation:
    """Judge the results so far."""
    by_config: dict[Config, list[Result]] = {}
    for result in results:
        by_config.setdefault(result.probe.config, []).append(result)
    rate = _throughput if aim.p99 is None else _under_goal
    found = [rate(config, each, aim) for config, each in by_config.items()]
    order = sorted(
        found, key=lambda s: (-(s.score or 0.0), bool(s.failure), space.weight(s.config))
    )
    scored = [each for each in order if each.score is not None]
    contenders = [each for each in scored if each.repeated] or scored
    if not contenders:
        nearest = None if aim.p99 is None else _nearest(results)
        return Recommendation(
            None, None, (), tuple(order), nearest, _why_nothing(aim, nearest, order)
        )
    best = contenders[0]
    tied = tuple(each for each in contenders if _ties(each, best, aim))
    chosen = min(tied, key=lambda each: space.weight(each.config))
    why = _why(chosen, best, tied, aim)
    return Recommendation(chosen, best, tied, tuple(order), None, why)


def _throughput(config: Config, results: Sequence[Result], aim: Aim) -> Standing:
    """The median of the rounds at full load; without finals, the first measurement."""
    if failure := _failure(results):
        return Standing(config, failure=failure)
    load = aim.filling(config)
    full = [each for each in results if each.probe.load == load and each.probe.turn >= EXPLORING]
    counted, repeated = _counted(full)
    if not counted:
        return Standing(config)
    rates = tuple(each.rate for each in counted)
    p99 = statistics.median(each.p99 for each in counted)
    score = statistics.median(rates)
    return Standing(config, score, rates, p99, repeated, figures=counted[-1])


def _under_goal(config: Config, results: Sequence[Result], aim: Aim) -> Standing:
    """The highest rate at which the median of the rounds met the goal; before the finals the better
    of two measurements counts, because a single stall of the machine can decide a p99."""
    assert aim.p99 is not None
    if failure := _failure(results):
        return Standing(config, failure=failure)
    kept = [each for each in results if each.probe.turn != CURVE]
    rates = sorted({r.probe.load.rate for r in kept if isinstance(r.probe.load, Open)})
    met: Standing | None = None
    missed: list[float] = []
    for rate in rates:
        counted, repeated = _counted([each for each in kept if each.probe.load == Open(rate)])
        typical = statistics.median if repeated else min
        p99 = typical([each.p99 for each in counted])
        if p99 <= aim.p99:
            samples = tuple(rate for _ in counted)
            met = Standing(config, rate, samples, p99, repeated, figures=counted[-1])
        else:
            missed.append(rate)
    capacity = max((r.outcome.rate for r in kept if isinstance(r.probe.load, Closed)), default=None)
    return met or Standing(config, below=min(missed, default=capacity))


def _counted(results: Sequence[Result]) -> tuple[list[Outcome], bool]:
    """The outcomes of the finals, or else all; and whether there were finals."""
    final = [each.outcome for each in results if each.probe.turn > EXPLORING]
    return (final or [each.outcome for each in results]), bool(final)


def _failure(results: Sequence[Result]) -> str:
    return next((each.outcome.failure for each in results if each.outcome.failure), "")


def _ties(each: Standing, best: Standing, aim: Aim) -> bool:
    assert each.score is not None
    assert best.score is not None
    if aim.p99 is not None:
        return each.score == best.score  # one step of the rates is wider than most spreads
    if each.score >= (1 - TIE) * best.score:
        return True
    pairs = list(zip(each.samples, best.samples, strict=False))  # of the same round
    equalled = len(pairs) > 1 and any(mine >= theirs for mine, theirs in pairs)
    return equalled and each.score >= (1 - WIDEST_TIE) * best.score


def _why(chosen: Standing, best: Standing, tied: Sequence[Standing], aim: Aim) -> str:
    assert chosen.score is not None
    assert best.score is not None
    if aim.p99 is None:
        what = "the best throughput"
        same = f"have the best throughput within {TIE:.0%} or the spread of the rounds"
    else:
        what = f"the highest rate with a p99 of at most {aim.p99 * 1e3:g} ms"
        same = f"have {what}"
    if len(tied) == 1:
        return f"It has {what}, and no other configuration ties with it."
    text = f"{len(tied)} configurations {same}; this one holds the fewest rows and streams"
    less = 1 - chosen.score / best.score
    return f"{text}, {less:.1%} below {best.config.name}." if less > 0 else f"{text}."


def _why_nothing(aim: Aim, nearest: Nearest | None, standings: Sequence[Standing]) -> str:
    failed = [each for each in standings if each.failure]
    if standings and len(failed) == len(standings):
        return f"None of {len(failed)} configurations could be measured: {failed[0].failure}"
    if nearest is not None and aim.p99 is not None:
        return (
            f"No configuration keeps the p99 within {aim.p99 * 1e3:g} ms; the nearest was "
            f"{nearest.p99 * 1e3:.3g} ms with {nearest.config.name} at "
            f"{written_rate(nearest.rate)} requests/s. Allow more time, or ask for less work per "
            "request."
        )
    return "Too little was measured to recommend anything. Give it more time."


def _nearest(results: Sequence[Result]) -> Nearest | None:
    seen = [
        Nearest(each.probe.config, each.probe.load.rate, each.outcome.p99)
        for each in results
        if isinstance(each.probe.load, Open) and not each.outcome.failure
    ]
    return min(seen, key=lambda each: each.p99, default=None)
