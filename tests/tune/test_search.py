"""The search and the choice, answered by formulas: no engine, no clock."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tune.support import (
    COST,
    SPACE,
    by_table,
    config,
    failed,
    follow,
    outcome,
    queue,
    spaces,
)
from trtasync.measure.loads import Closed, Open
from trtasync.tune import Aim, Config, Outcome, Probe, Result, Search, Space
from trtasync.tune.choice import recommend
from trtasync.tune.probes import AGAIN, CURVE, SPAN, STEP, index_below, rate_at
from trtasync.tune.search import SHARES, SHARES_WITH_GOAL
from trtasync.tune.space import AXES

LONG = Aim(budget=math.inf)
GOAL = Aim(p99=0.020, budget=math.inf)


@st.composite
def unimodal(draw: st.DrawFn, space: Space, least: float = 1.03) -> dict[Config, float]:
    """A rate for every configuration: along each axis it rises to one peak and falls beyond, by
    this factor at least from one value to the next."""
    factors: list[dict[Any, float]] = []
    for axis in ("streams", "max_batch_size", "buckets", "graphs", "threads"):
        values = getattr(space, axis)
        peak = draw(st.integers(0, len(values) - 1))
        steps = draw(st.lists(st.floats(least, 3.0), min_size=len(values), max_size=len(values)))
        factor = {values[peak]: 1.0}
        for way in (1, -1):
            level = 1.0
            for index in range(peak + way, len(values) if way > 0 else -1, way):
                level /= steps[index]
                factor[values[index]] = level
        factors.append(factor)
    scale = draw(st.floats(1.0, 1e6))
    rates = {}
    for each in space.all():
        parts = (each.streams, each.max_batch_size, each.buckets, each.graphs, each.threads)
        products = (factor[part] for factor, part in zip(factors, parts, strict=True))
        rates[each] = scale * math.prod(products)
    return rates


def most(space: Space, aim: Aim) -> int:
    """Measurements that a search can ask for at the very most."""
    looks = len(space.all())
    if aim.p99 is None:
        return looks * (1 + aim.rounds) + 1 + len(SHARES)
    climb = 1 + 2 * (2 + math.ceil(math.log2(SPAN + 1)))
    return looks * (climb + 5 * aim.rounds) + 1 + len(SHARES_WITH_GOAL)


# -- the best throughput --------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.data())
def test_the_optimum_of_a_unimodal_surface_is_found(data: st.DataObject) -> None:
    space = data.draw(spaces())
    rates = data.draw(unimodal(space))
    start = data.draw(st.sampled_from(space.all()))
    search = Search(space, LONG, start)
    asked = follow(search, by_table(rates))
    verdict = search.verdict()
    top = max(rates.values())
    assert verdict.best is not None
    assert verdict.best.score == top
    assert verdict.recommended is not None
    assert verdict.recommended.score is not None
    assert verdict.recommended.score >= 0.98 * top
    weights = [space.weight(each.config) for each in verdict.tied]
    assert space.weight(verdict.recommended.config) == min(weights)
    assert search.ended == "settled"
    assert len(asked) == len(set(asked)) <= most(space, LONG)


@settings(max_examples=50)
@given(st.data())
def test_any_surface_any_failures_any_budget(data: st.DataObject) -> None:
    space = data.draw(spaces())
    every = space.all()
    rates = data.draw(
        st.dictionaries(st.sampled_from(every), st.floats(0.01, 1e5), max_size=len(every))
    )
    late = data.draw(st.sets(st.sampled_from(every), max_size=5))  # fail in the finals, or later
    budget = data.draw(st.floats(0.1, 500.0))
    aim = Aim(budget=budget, p99=data.draw(st.sampled_from([None, 0.004])))

    def measure(probe: Probe) -> Outcome:
        if probe.turn != 0 and probe.config in late:
            return failed("only now")
        return by_table(rates)(probe)

    search = Search(space, aim, data.draw(st.sampled_from(every)))
    asked = follow(search, measure)
    verdict = search.verdict()
    broken = {each.probe.config for each in search.results if each.outcome.failure}
    assert len(asked) == len(set(asked)) <= most(space, aim)
    if verdict.recommended is not None:
        assert verdict.recommended.config not in broken
    elif aim.p99 is None:
        assert broken == {each.config for each in verdict.standings}
    if aim.p99 is None:
        assert search.spent <= max(budget, COST) + 1e-9
    if rates and aim.p99 is None and not late and budget >= 499 and len(every) < 50:
        assert verdict.recommended is not None  # whatever can run at all is found
    again = Search(space, aim, asked[0].config)
    assert follow(again, measure) == asked  # the same answers, the same questions


def test_a_budget_ends_the_search_with_what_there_is() -> None:
    rates = {each: 100.0 * each.streams for each in SPACE.all()}
    search = Search(SPACE, Aim(budget=COST), config(1, 8))
    assert len(follow(search, by_table(rates))) == 1
    assert search.ended == "budget"
    verdict = search.verdict()
    assert verdict.recommended is not None
    assert verdict.recommended.config == config(1, 8)


def test_finals_are_interleaved_and_run_back_and_forth() -> None:
    rates = {each: 1000.0 - each.streams for each in SPACE.all()}
    asked = follow(Search(SPACE, LONG, config(1, 8)), by_table(rates))
    rounds = [
        [probe.config for probe in asked if probe.turn == turn and isinstance(probe.load, Closed)]
        for turn in (1, 2, 3)
    ]
    assert len(rounds[0]) > 1
    assert rounds[0] == rounds[1][::-1] == rounds[2]
    turns = [probe.turn for probe in asked if probe.turn > 0]
    assert turns == sorted(turns)


def test_of_equals_the_one_that_holds_the_fewest_rows_is_recommended() -> None:
    rates = {each: 1000.0 + each.max_batch_size / 100 for each in SPACE.all()}
    search = Search(SPACE, LONG, config(4, 64))
    follow(search, by_table(rates))
    verdict = search.verdict()
    assert verdict.recommended is not None
    assert verdict.recommended.config == config(1, 4)
    assert "fewest rows" in verdict.why


def results(load: Closed, **samples: list[float]) -> list[Result]:
    """Finals: `b8=[...]` are the rates of one stream and batches of 8, round by round."""
    return [
        Result(Probe(config(1, int(name[1:])), replace(load), turn), outcome(rate))
        for name, rates in samples.items()
        for turn, rate in enumerate(rates, 1)
    ]


def finals(**samples: list[float]) -> tuple[Config | None, set[Config]]:
    """(recommended, tied) of such finals."""
    found = []
    for name, rates in samples.items():
        load = LONG.filling(config(1, int(name[1:])))
        found += results(load, **{name: rates})
    verdict = recommend(found, SPACE, LONG)
    chosen = verdict.recommended
    return (None if chosen is None else chosen.config), {each.config for each in verdict.tied}


def test_ties_are_two_per_cent_or_within_the_spread() -> None:
    small, large = config(1, 8), config(1, 16)
    assert finals(b8=[981, 981, 981], b16=[1000, 1000, 1000]) == (small, {small, large})
    assert finals(b8=[960, 960, 960], b16=[1000, 1000, 1000]) == (large, {large})
    # slower in the median, but as fast in one of the rounds
    assert finals(b8=[960, 1010, 955], b16=[1000, 1000, 1000]) == (small, {small, large})
    # so much slower that a lucky round does not count
    assert finals(b8=[900, 1010, 900], b16=[1000, 1000, 1000]) == (large, {large})
    # the machine slowed down: round by round they are the same
    assert finals(b8=[1000, 700, 500], b16=[1000, 710, 500])[0] == small


def test_the_curve_is_that_of_the_recommended_one_and_counts_for_nothing() -> None:
    rates = {each: 1000.0 * each.streams for each in SPACE.all()}
    search = Search(SPACE, LONG, config())
    asked = follow(search, by_table(rates))
    curve = [probe for probe in asked if probe.turn == CURVE]
    chosen = search.verdict().recommended
    assert chosen is not None
    assert {probe.config for probe in curve} == {chosen.config}
    assert curve[0].load == Closed(1)
    offered = [probe.load.rate for probe in curve if isinstance(probe.load, Open)]
    shares = [rate / 4000 for rate in offered]
    assert shares == pytest.approx(SHARES, rel=STEP - 1)
    assert chosen.score == 4000


# -- under a goal ---------------------------------------------------------------------------------


def highest(capacity: float, floor: float, goal: float) -> int | None:
    """The highest step at which `queue` meets the goal."""
    top = index_below(capacity)
    met = [
        index
        for index in range(top - SPAN, top + 1)
        if queue(capacity, floor)(Probe(config(), rate_at(index))).p99 <= goal
    ]
    return max(met, default=None)


FINER = 1.01
"""From one value to the next by less than a step of the ladder."""


@pytest.mark.parametrize("least", [STEP * 1.002, FINER])
@settings(max_examples=25)
@given(st.data())
def test_under_a_goal_the_highest_rate_is_found(least: float, data: st.DataObject) -> None:
    """Exactly, where every step along an axis gains a step of the ladder (and what the ladder's
    numbers are rounded by); else to within a step for each axis."""
    space = data.draw(spaces())
    rates = data.draw(unimodal(space, least))
    search = Search(space, GOAL, data.draw(st.sampled_from(space.all())))
    asked = follow(search, lambda probe: queue(rates[probe.config], 0.004)(probe))
    assert len(asked) == len(set(asked)) <= most(space, GOAL)
    verdict = search.verdict()
    assert verdict.recommended is not None
    assert verdict.recommended.score is not None
    true = {each: highest(rate, 0.004, 0.020) for each, rate in rates.items()}
    best = max(index for index in true.values() if index is not None)
    lost = best - index_below(verdict.recommended.score)
    assert 0 <= lost <= (len(AXES) if least == FINER else 0)
    simplest = min(
        (each for each in verdict.tied), key=lambda standing: space.weight(standing.config)
    )
    assert verdict.recommended == simplest


def test_a_gain_finer_than_a_step_may_be_missed_under_a_goal() -> None:
    """The limit that docs/tuning.md names: each axis gains 3 %, both together more than a step."""
    space = Space(streams=(1, 2), max_batch_size=(4,), buckets=("any", "powers"))
    rates = {
        each: 0.94 * 1.03 ** ((each.streams == 2) + (each.buckets == "powers"))
        for each in space.all()
    }
    search = Search(space, GOAL)
    follow(search, lambda probe: queue(rates[probe.config], 0.004)(probe))
    chosen = search.verdict().recommended
    best = highest(max(rates.values()), 0.004, 0.020)
    assert chosen is not None
    assert chosen.score is not None
    assert best is not None
    assert index_below(chosen.score) == best - 1


@settings(max_examples=50)
@given(st.data())
def test_what_missed_the_goal_is_never_recommended(data: st.DataObject) -> None:
    """Latencies that no model would have: chance alone."""
    space = data.draw(spaces())
    chance = data.draw(st.randoms(use_true_random=False))
    budget = data.draw(st.floats(1.0, 300.0))

    def measure(probe: Probe) -> Outcome:
        if chance.random() < 0.05:
            return failed()
        rate = probe.load.rate if isinstance(probe.load, Open) else chance.uniform(10, 1000)
        return outcome(rate, chance.uniform(0.001, 0.040))

    search = Search(space, Aim(p99=0.020, budget=budget), space.all()[-1])
    follow(search, measure)
    chosen = search.verdict().recommended
    if chosen is None:
        assert search.verdict().why
        return
    assert chosen.score is not None
    seen = [
        each
        for each in search.results
        if each.probe.config == chosen.config and each.probe.load == Open(chosen.score)
    ]
    final = sorted(each.outcome.p99 for each in seen if each.probe.turn > 0)
    first = [each.outcome.p99 for each in seen if each.probe.turn in (0, AGAIN)]
    if final:
        middle = (final[(len(final) - 1) // 2] + final[len(final) // 2]) / 2
        assert middle <= 0.020
    else:
        assert min(first) <= 0.020


def test_a_goal_that_nothing_meets_names_the_nearest() -> None:
    search = Search(SPACE, Aim(p99=0.001, budget=100), config())
    follow(search, lambda probe: queue(1000.0, 0.1 / probe.config.max_batch_size)(probe))
    verdict = search.verdict()
    assert verdict.recommended is None
    assert verdict.nearest is not None
    assert verdict.nearest.config.max_batch_size == 64
    assert "the nearest was 1.77 ms" in verdict.why


def test_a_rate_that_the_finals_do_not_confirm_is_lowered() -> None:
    space = replace(SPACE, streams=(1,), max_batch_size=(8,), buckets=("powers",), graphs=(True,))

    def measure(probe: Probe) -> Outcome:
        return queue(1000.0 if probe.turn in (0, AGAIN) else 900.0, 0.004)(probe)

    search = Search(space, GOAL)
    follow(search, measure)
    chosen = search.verdict().recommended
    expected = highest(900.0, 0.004, 0.020)
    assert chosen is not None
    assert expected is not None
    assert chosen.score == rate_at(expected).rate
    assert chosen.repeated


def test_a_near_miss_is_looked_at_twice() -> None:
    stalled: set[Open] = set()

    def measure(probe: Probe) -> Outcome:
        if isinstance(probe.load, Open) and probe.turn == 0:
            stalled.add(probe.load)
            return outcome(probe.load.rate, 0.050)  # the machine was busy elsewhere
        return queue(1000.0, 0.004)(probe)

    search = Search(SPACE, GOAL, config())
    follow(search, measure)
    assert stalled
    chosen = search.verdict().recommended
    expected = highest(1000.0, 0.004, 0.020)
    assert chosen is not None
    assert expected is not None
    assert chosen.score == rate_at(expected).rate


def test_who_cannot_win_costs_a_look_or_two() -> None:
    rates = {each: 1000.0 / each.streams for each in SPACE.all()}
    search = Search(SPACE, GOAL, config(1, 8))
    follow(search, by_table(rates))
    slow = [each for each in search.results if each.probe.config.streams > 1]
    assert slow
    assert all(isinstance(each.probe.load, Closed) for each in slow)
