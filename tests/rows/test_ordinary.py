"""The inputs with which a model's numbers are looked at."""

from typing import Any

import numpy as np
import pytest

from tests.rows.support import FunctionTrial
from trtasync.errors import InferenceError, InvalidInput
from trtasync.model.arrays import Array
from trtasync.rows.inputs import MOST_ROWS
from trtasync.rows.ordinary import ordinary_runs


def shapes(runs: list[list[Array]]) -> list[list[tuple[int, ...]]]:
    """Of all arrays."""
    return [[array.shape for array in arrays] for arrays in runs]


STATE: dict[str, tuple[Any, ...]] = {"x": ("N", 4), "state": (2, "N", 3), "sr": (np.int64, ())}


def test_one_row_and_three_along_each_batch_axis() -> None:
    trial = FunctionTrial(lambda x, state, sr: x, STATE)
    runs = ordinary_runs(trial, {"x": 0, "state": 1, "sr": None})
    assert shapes(runs) == [[(1, 4), (2, 1, 3), ()], [(3, 4), (2, 3, 3), ()]]
    assert runs[0][2] == runs[1][2] == 16000


@pytest.mark.parametrize(
    ("sizes", "counts"), [([2], [2]), ([4, 8], [4]), ([1, 2, 4, 8], [1, 2]), (range(1, 9), [1, 3])]
)
def test_the_model_s_own_sizes(sizes: list[int], counts: list[int]) -> None:
    trial = FunctionTrial(lambda x: x, {"x": ("N", 4)})
    runs = ordinary_runs(trial, {"x": 0}, sizes=sizes)
    assert [arrays[0].shape[0] for arrays in runs] == counts


@pytest.mark.parametrize("given", [False, True])
def test_batches_of_absurd_size_are_refused(given: bool) -> None:
    trial = FunctionTrial(lambda x: x, {"x": ("N", 4)})
    samples = {"x": np.ones((2, 4), np.float32)} if given else None
    with pytest.raises(InvalidInput, match="takes 65537 rows at a time"):
        ordinary_runs(trial, {"x": 0}, sizes=[MOST_ROWS + 1], samples=samples)


def test_a_model_without_rows_is_run_once() -> None:
    trial = FunctionTrial(lambda x: x, {"x": ("a", "b")})
    ((array,),) = ordinary_runs(trial, {"x": None})
    assert array.ndim == 2


def test_inputs_are_drawn_until_outputs_are_finite() -> None:
    def log(x: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return np.log(x)

    runs = ordinary_runs(FunctionTrial(log, {"x": ("N", 100)}), {"x": 0})
    assert all(np.isfinite(log(*arrays)).all() for arrays in runs)


def test_outputs_that_are_never_finite_are_ordinary_too() -> None:
    trial = FunctionTrial(lambda x: x * np.nan, {"x": ("N", 4)})
    assert shapes(ordinary_runs(trial, {"x": 0})) == [[(1, 4)], [(3, 4)]]


def test_what_the_model_refuses_is_not_kept() -> None:
    def only_32(x: Array) -> Array:
        if x.shape[1] != 32:
            raise ValueError("only 32\nsays a backtrace")
        return x

    runs = ordinary_runs(FunctionTrial(only_32, {"x": ("N", "len")}), {"x": 0})
    assert shapes(runs) == [[(1, 32)], [(3, 32)]]


def test_a_model_that_refuses_everything() -> None:
    def refuse(x: Array) -> Array:
        raise ValueError("never\nsays a backtrace")

    with pytest.raises(InferenceError, match=r"none of the drawn inputs \(never\); give samples"):
        ordinary_runs(FunctionTrial(refuse, {"x": ("N", 4)}), {"x": 0})


def test_natural_inputs_are_taken_as_they_are() -> None:
    samples = {
        "state": np.arange(24, dtype=np.float32).reshape(2, 4, 3),
        "x": np.ones((4, 4), np.float32),
        "sr": np.array(8000),
    }
    trial = FunctionTrial(lambda x, state, sr: x, STATE)
    first, second = ordinary_runs(trial, {"x": 0, "state": 1, "sr": None}, samples=samples)
    assert np.array_equal(first[1], samples["state"][:, :1])
    assert np.array_equal(second[1], samples["state"][:, 1:])
    assert first[2] == 8000
    assert trial.runs == []


@pytest.mark.parametrize("names", [[], ["x", "y"], ["y"]])
def test_samples_of_other_inputs_are_refused(names: list[str]) -> None:
    trial = FunctionTrial(lambda x: x, {"x": ("N", 4)})
    samples: dict[str, Array] = {name: np.ones((1, 4), np.float32) for name in names}
    with pytest.raises(InvalidInput, match=r"needed for \['x'\]; got"):
        ordinary_runs(trial, {"x": 0}, samples=samples)


def test_what_cannot_be_drawn_has_to_be_given() -> None:
    trial = FunctionTrial(lambda x: x, {"x": (np.dtype("M8[s]"), ("N", 4))})
    with pytest.raises(InvalidInput, match="cannot be drawn; give samples"):
        ordinary_runs(trial, {"x": 0})
