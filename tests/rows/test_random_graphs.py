"""The proof and the check, on a hundred random graphs whose truth is known; `make nightly-rows`
takes a thousand and more. And the judge itself."""

from collections.abc import Iterator

import onnx
import pytest

from tests.rows.graphs.values import INGREDIENTS, ROWS, Ingredient, Value
from tests.rows.judge import Outcome, check_graph, judge, judge_many, outcome, prove_graph, table
from tests.rows.random_graphs import graph_of, random_graph
from tests.rows.truth import Seen, Truth, WrongLabel, truth_of, truths
from trtasync.rows.verdicts import Finding, Verdict

FIRST, GRAPHS = 1_000, 100


def test_bounds_hold_on_random_graphs() -> None:
    report = judge_many(range(FIRST, FIRST + GRAPHS), prove_graph, check_graph)
    assert not report.broken(), table(report)
    assert report.count(Truth.COUPLED) > 30, "hardly any were coupled"
    assert report.count(Truth.INDEPENDENT) > 60, "hardly any were independent"


def test_a_seed_says_all() -> None:
    for seed in range(20):
        again = random_graph(seed).model.SerializeToString()
        assert random_graph(seed).model.SerializeToString() == again
        assert random_graph(seed + 1).model.SerializeToString() != again


def test_models_are_well_formed() -> None:
    for seed in range(200):
        onnx.checker.check_model(random_graph(seed).model)


@pytest.mark.parametrize("entry", INGREDIENTS, ids=lambda entry: entry.name)
def test_a_step_does_what_it_is_listed_for(entry: Ingredient) -> None:
    """Brute force finds the coupling where there is one, and none where there is none."""
    if entry.family == "random":
        wanted = {Truth.RANDOM}
    else:
        wanted = {Truth.COUPLED, Truth.HIDDEN} if entry.couples else {Truth.INDEPENDENT}
    assert any(kind in wanted for kind in _kinds(entry))


def _kinds(entry: Ingredient) -> Iterator[Truth]:
    """What the step makes of the inputs of several seeds."""
    for seed in range(150):
        graph = graph_of(entry, seed)
        kinds = None if graph is None else truths(graph)
        if graph is not None and kinds is not None:
            yield kinds[graph.outputs[-1].name]


# ------------------------------------------------------------------------------ labels, held to it


def seen(**what: object) -> Seen:
    """Of an output whose rows keep their bits, but for what is said."""
    quiet = {"ordinary": 0.0, "loud": 0.0, "not numbers": 0.0}
    return Seen(**{"exchanged": quiet, "alive": True, **what})  # type: ignore[arg-type] # by name


def test_a_label_that_the_model_contradicts_is_an_error() -> None:
    independent = Value("y", (ROWS, 4))
    with pytest.raises(WrongLabel, match="made to be independent"):
        truth_of(independent, seen(exchanged={"ordinary": 0.1}))
    with pytest.raises(WrongLabel, match="not made to be random"):
        truth_of(independent, seen(repeated=False))


@pytest.mark.parametrize(
    ("what", "truth"),
    [
        ({"exchanged": {"ordinary": 0.5}}, Truth.COUPLED),
        ({"moved": True}, Truth.COUPLED),
        ({"shapeless": True}, Truth.COUPLED),
        ({"exchanged": {"ordinary": 0.1}}, Truth.HIDDEN),
        ({"exchanged": {"ordinary": 0.0, "loud": 1.0}}, Truth.HIDDEN),
        ({"crowded": True}, Truth.HIDDEN),
        ({}, Truth.UNKNOWABLE),
    ],
)
def test_a_coupling_counts_where_it_shows(what: dict[str, object], truth: Truth) -> None:
    assert truth_of(Value("y", (ROWS, 4), coupled=True), seen(**what)) is truth


# ------------------------------------------------------------------------------- the judge, judged


@pytest.mark.parametrize(
    ("truth", "proved", "said", "result"),
    [
        (Truth.INDEPENDENT, 1, Verdict.TESTED, Outcome.RIGHT),
        (Truth.INDEPENDENT, None, Verdict.TESTED, Outcome.RIGHT),
        (Truth.INDEPENDENT, 1, Verdict.UNKNOWN, Outcome.RIGHT),
        (Truth.INDEPENDENT, 0, Verdict.UNKNOWN, Outcome.WRONG_AXIS),
        (Truth.INDEPENDENT, 0, Verdict.TESTED, Outcome.WRONG_AXIS),
        (Truth.INDEPENDENT, None, Verdict.UNKNOWN, Outcome.UNKNOWN),
        (Truth.INDEPENDENT, 1, Verdict.COUPLED, Outcome.FALSE_ALARM),
        (Truth.INDEPENDENT, None, Verdict.RANDOM, Outcome.FALSE_ALARM),
        (Truth.COUPLED, None, Verdict.COUPLED, Outcome.FOUND),
        (Truth.COUPLED, None, Verdict.TESTED, Outcome.MISSED),
        (Truth.COUPLED, None, Verdict.UNKNOWN, Outcome.UNKNOWN),
        (Truth.COUPLED, 1, Verdict.COUPLED, Outcome.WRONGLY_PROVED),
        (Truth.HIDDEN, 1, Verdict.TESTED, Outcome.WRONGLY_PROVED),
        (Truth.HIDDEN, None, Verdict.TESTED, Outcome.NOT_COUNTED),
        (Truth.RANDOM, None, Verdict.RANDOM, Outcome.FOUND),
        (Truth.RANDOM, 1, Verdict.RANDOM, Outcome.WRONGLY_PROVED),
        (Truth.UNKNOWABLE, 1, Verdict.TESTED, Outcome.NOT_COUNTED),
        (Truth.SHARED, None, Verdict.COUPLED, Outcome.NOT_COUNTED),
    ],
)
def test_outcomes(truth: Truth, proved: int | None, said: Verdict, result: Outcome) -> None:
    axis = 1 if said is Verdict.TESTED else None
    assert outcome(truth, 1, proved, Finding("y", said, axis)) is result


def test_broken_bounds_are_named() -> None:
    """By verdicts that are wrong about everything."""
    seeds = range(FIRST, FIRST + 10)
    blind = judge_many(
        seeds,
        lambda graph: {value.name: value.batch or 0 for value in graph.outputs},
        lambda graph: [Finding(y.name, Verdict.TESTED, y.batch) for y in graph.outputs],
    )
    anxious = judge_many(
        seeds,
        lambda graph: {},
        lambda graph: [Finding(y.name, Verdict.COUPLED) for y in graph.outputs],
    )
    credulous = judge_many(
        seeds,
        lambda graph: {},
        lambda graph: [Finding(y.name, Verdict.TESTED, y.batch) for y in graph.outputs],
    )
    assert "are proved that are not independent" in blind.broken()[0]
    assert "independent outputs raise an alarm" in anxious.broken()[0]
    assert "coupled outputs are tested" in credulous.broken()[0]
    for report in (blind, anxious, credulous):
        assert len(report.broken()) == 1
        assert f"BROKEN: {report.broken()[0]}" in table(report)


def test_a_judgement_names_the_families_of_couplings() -> None:
    graph = next(g for seed in range(FIRST, FIRST + 50) if (g := random_graph(seed)).couplings)
    kinds = {value.name: Truth.COUPLED for value in graph.outputs}
    found = [Finding(value.name, Verdict.COUPLED) for value in graph.outputs]
    judged = judge(graph, kinds, {}, found)
    assert {one.families for one in judged} == {tuple({g.family for g in graph.couplings})}
