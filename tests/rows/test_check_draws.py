"""Rows that are drawn must differ in what a coupling may hang on, whatever the seed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.rows.support import FunctionTrial
from trtasync.model.arrays import Array
from trtasync.rows.check import check
from trtasync.rows.verdicts import Verdict

TABLE = np.random.default_rng(7).standard_normal((128, 4), np.float32)
MOST_RUNS = 22


def embedded(ids: Array) -> Array:
    """Rows of a table that has no others."""
    if ids.min() < 0 or ids.max() >= len(TABLE):
        raise IndexError("no such row")
    return TABLE[ids]


def long_masks_only(mask: Array) -> Any:
    """As a detector does it: as many rows as there are good ones."""
    return mask.astype(np.float32)[mask.sum(1) > 3]


def beside_one_that_is_masked(mask: Array) -> Any:
    return mask * np.float32(1 + (mask.mean(1).min() < 0.3))


def floored_by_the_batch(ids: Array) -> Any:
    rows = embedded(ids)
    return np.maximum(rows, rows.max() - 1)


def by_the_sign_of_the_mean(ids: Array) -> Any:
    rows = embedded(ids)
    return np.where(rows.mean() > 0, rows, 0)


def by_the_sign_of_the_first_row(x: Array) -> Any:
    return np.where(x[0].sum() > 0, x, 2 * x)


def with_another_first_row(x: Array) -> Any:
    x = x.copy()
    x[0] = 0.1
    return np.where(x > 0.4, 0.5, x)


def with_a_first_row_above_zero(x: Array) -> Any:
    x = x.copy()
    x[0] = max(x[0], 0)
    return x


def by_the_number_of_rows(ids: Array) -> Any:
    rows = embedded(ids)
    return np.where(ids[..., None] < 10, rows, rows * len(ids))


INT, BOOL = np.int64, np.bool_


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (long_masks_only, {"mask": (INT, ("N", 6))}),
        (long_masks_only, {"attention_mask": (BOOL, ("N", "T"))}),
        (beside_one_that_is_masked, {"mask": (INT, ("N", "T"))}),
        (floored_by_the_batch, {"ids": (INT, ("N", "T"))}),
        (floored_by_the_batch, {"ids": (INT, ("N", 6))}),
        (by_the_sign_of_the_mean, {"ids": (INT, ("N", "T"))}),
        (by_the_sign_of_the_first_row, {"x": ("N", 6)}),
        (with_another_first_row, {"x": ("N",)}),
        (by_the_number_of_rows, {"ids": (INT, ("N", "T"))}),
    ],
)
def test_a_coupling_is_found_whatever_the_seed(
    function: Callable[..., Any], inputs: dict[str, Any]
) -> None:
    missed = []
    for seed in range(50):
        trial = FunctionTrial(function, inputs)
        (finding,) = check(trial, dict.fromkeys(inputs, 0), deadline=30, seed=seed)
        if finding.verdict is not Verdict.COUPLED:
            missed.append(seed)
    # a draw of ordinary values may always fail to show it
    assert len(missed) <= 1


def test_a_place_that_changes_every_other_row_is_found_as_a_rule() -> None:
    found = 0
    for seed in range(100):
        trial = FunctionTrial(with_a_first_row_above_zero, {"x": ("N",)})
        (finding,) = check(trial, {"x": 0}, deadline=30, seed=seed)
        found += finding.verdict is Verdict.COUPLED
    assert found > 80


@pytest.mark.parametrize(
    "inputs",
    [
        {"x": ("N", 6)},
        {"ids": (INT, ("N", "T"))},
        {"mask": (BOOL, ("N", "T"))},
        {"x": ("N", 6), "ids": (INT, ("N", 6)), "mask": (BOOL, ("N", 6))},
    ],
)
def test_all_that_is_looked_at_takes_few_runs(inputs: dict[str, Any]) -> None:
    trial = FunctionTrial(lambda *arrays: sum(1.5 * array for array in arrays), inputs)
    (finding,) = check(trial, dict.fromkeys(inputs, 0), deadline=30)
    assert finding.verdict is Verdict.TESTED
    assert len(trial.runs) <= MOST_RUNS
