"""Each kind of neighbour and each other run is needed: a coupling shows there and only there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.rows.support import FunctionTrial
from trtasync.model.arrays import Array
from trtasync.rows.check import check
from trtasync.rows.schedule import Neighbours
from trtasync.rows.verdicts import Finding, Verdict


def found(function: Callable[..., Any], **inputs: tuple[Any, ...]) -> Finding:
    """Of a function's only output; every input has its rows along axis 0."""
    trial = FunctionTrial(function, inputs or {"x": ("N", 4)})
    (finding,) = check(trial, dict.fromkeys(inputs or ["x"], 0), deadline=30)
    return finding


def next_rows(x: Array) -> Array:
    """Below each row the next one; zeros below the last."""
    return np.concatenate([x[1:], np.zeros_like(x[:1])])


def previous_rows(x: Array) -> Array:
    """Above each row the one before; zeros above the first."""
    return np.concatenate([np.zeros_like(x[:1]), x[:-1]])


def beside_others(x: Array) -> Any:
    return x + x.max(0)


def beside_loud_ones(x: Array) -> Any:
    return np.where(np.abs(x).max() > 1e3, 0, x)


def beside_a_loud_one_below(x: Array) -> Any:
    return np.where(np.abs(next_rows(x)).max(1, keepdims=True) > 1e5, 0, x)


def beside_a_loud_one_above(x: Array) -> Any:
    return np.where(np.abs(previous_rows(x)).max(1, keepdims=True) > 1e5, 0, x)


def when_itself_quiet(x: Array) -> Any:
    return np.where(np.abs(x).max(1, keepdims=True) < 1e-2, x + x.max(0), x)


def beside_nan(x: Array) -> Any:
    # 0 - 0 * sum: no bit changes unless the sum is not finite
    with np.errstate(invalid="ignore"):
        return x + np.abs(0 * np.where(np.isnan(x), x, 0).sum(0))


def when_all_are_alike(x: Array) -> Any:
    return np.where((x == x[0]).all(), 0, x)


@pytest.mark.parametrize(
    ("function", "beside"),
    [
        (beside_others, Neighbours.FRESH),
        (beside_loud_ones, Neighbours.LOUD),
        (beside_a_loud_one_below, Neighbours.LOUD),
        (beside_a_loud_one_above, Neighbours.LOUD),
        (when_itself_quiet, Neighbours.QUIET),
        (beside_nan, Neighbours.NAN),
        (when_all_are_alike, Neighbours.COPIES),
    ],
)
def test_a_coupling_is_found_beside_the_neighbours_that_show_it(
    function: Callable[[Array], Array], beside: Neighbours
) -> None:
    finding = found(function)
    assert finding.verdict is Verdict.COUPLED
    assert finding.beside == beside


def test_large_integers_beside_small_ones_show_a_coupling() -> None:
    def shifted_by_large_ones(ids: Array) -> Any:
        return ids + (ids.max() > 500)

    finding = found(shifted_by_large_ones, ids=(np.int64, ("N", "T")))
    assert (finding.verdict, finding.beside) == (Verdict.COUPLED, Neighbours.FRESH)


def test_integers_grow_no_further_than_the_model_takes() -> None:
    table = np.arange(50.0)
    largest = []

    def embedded(ids: Array) -> Array:
        rows = table[ids]
        largest.append(int(ids.max()))
        return rows

    assert found(embedded, ids=(np.int64, ("N", "T"))).verdict is Verdict.TESTED
    assert 1 < max(largest) < 50


def test_one_integer_per_row_may_be_a_size_and_stays_small() -> None:
    largest = []

    def counted(x: Array, steps: Array) -> Array:
        largest.append(int(steps.max()))
        return x + steps[:, None]

    inputs = {"x": ("N", 4), "steps": (np.int64, ("N",))}
    assert found(counted, **inputs).verdict is Verdict.TESTED
    assert max(largest) <= 1


def test_a_row_that_depends_on_its_place_is_coupled() -> None:
    finding = found(lambda x: x + np.arange(len(x))[:, None])
    assert finding.verdict is Verdict.COUPLED
    assert finding.beside == "the same rows in reverse order"


def test_a_row_that_depends_on_the_number_of_rows_is_coupled() -> None:
    finding = found(lambda x: x / len(x))
    assert finding.verdict is Verdict.COUPLED
    assert finding.beside == "the same rows in a batch of 5 instead of 3"


def test_rounding_at_another_place_or_size_is_no_coupling() -> None:
    def rounded_otherwise(x: Array) -> Any:
        return x * (1 + 1e-6 * (np.arange(len(x))[:, None] + len(x)))

    assert found(rounded_otherwise).verdict is Verdict.TESTED


def test_one_row_that_moves_is_no_coupling() -> None:
    first: list[bytes] = []

    def first_row_at_its_place(x: Array) -> Any:
        first.append(x[0].tobytes())
        here = np.array([row.tobytes() == first[0] for row in x]) & (np.arange(len(x)) == 0)
        return x * (1 + 1e-3 * here[:, None])

    assert found(first_row_at_its_place).verdict is Verdict.TESTED


def test_the_smallest_change_beside_other_rows_is_a_coupling() -> None:
    def last_bit(x: Array) -> Array:
        return np.where(x.sum() > 0, x, np.nextafter(x, np.float32(np.inf)))

    finding = found(last_bit)
    assert finding.verdict is Verdict.COUPLED
    assert 0 < finding.difference < 1e-6


def test_one_row_alone_that_gives_another_shape_is_coupled() -> None:
    finding = found(np.squeeze)
    assert finding.verdict is Verdict.COUPLED
    assert finding.axis == 0
    assert finding.why == "one row alone gives the shape (4,), not (1, 4)"


def test_an_output_as_long_as_its_largest_neighbour_is_coupled() -> None:
    def spread(length: Array) -> Array:
        return (np.arange(length.max()) < length[:, None]).astype(np.float32)

    finding = found(spread, length=(np.int64, ("N",)))
    assert finding.verdict is Verdict.COUPLED
    assert finding.difference == float("inf")


def test_rows_that_vanish_beside_others_are_coupled() -> None:
    finding = found(lambda x: x[~np.isnan(x).any(1)])
    assert (finding.verdict, finding.beside) == (Verdict.COUPLED, Neighbours.NAN)
    assert finding.why == "its shape went from (3, 4) to (1, 4) beside rows of NaN"
    assert finding.difference == float("inf")


def test_an_output_whose_rank_changes_with_the_rows_is_coupled() -> None:
    finding = found(lambda x: x if len(x) == 3 else x[None])
    assert (finding.verdict, finding.axis) == (Verdict.COUPLED, None)


def test_every_output_has_a_finding_of_its_own() -> None:
    trial = FunctionTrial(
        lambda x: (x + 1, x - x.max(0), np.float32(x.shape[0])), {"x": ("N", 4)}, outputs=3
    )
    findings = check(trial, {"x": 0}, deadline=30)
    assert [(one.output, one.verdict, one.axis) for one in findings] == [
        ("y0", Verdict.TESTED, 0),
        ("y1", Verdict.COUPLED, 0),
        ("y2", Verdict.COUPLED, None),
    ]


def test_outputs_that_do_not_repeat_are_random() -> None:
    chance = np.random.default_rng(0)
    finding = found(lambda x: x + chance.standard_normal(x.shape))
    assert (finding.verdict, finding.why) == (
        Verdict.RANDOM,
        "the same inputs gave other values",
    )


def test_a_batch_that_is_refused_when_it_is_run_again_is_random() -> None:
    seen: list[bytes] = []

    def once(x: Array) -> Any:
        if x.tobytes() in seen:
            raise ValueError("again?")
        seen.append(x.tobytes())
        return x + x.max(0)

    assert found(once).verdict is Verdict.RANDOM


def test_beside_one_output_that_is_random_another_is_still_tested() -> None:
    chance = np.random.default_rng(0)
    trial = FunctionTrial(lambda x: (x + chance.random(x.shape), 2 * x), {"x": ("N", 4)}, 2)
    findings = check(trial, {"x": 0}, deadline=30)
    assert [one.verdict for one in findings] == [Verdict.RANDOM, Verdict.TESTED]
