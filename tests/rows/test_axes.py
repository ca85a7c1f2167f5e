"""The axes along which rows lie: the file's guess first, then others, never in doubt."""

from typing import Any

import numpy as np
import pytest

from tests.rows.mixing_models import CUMSUM, QUANTIZED, SOFTMAX_OF_COLUMNS, recurrent
from tests.rows.support import FunctionTrial, OnnxTrial, graph
from trtasync.errors import InvalidInput
from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec
from trtasync.rows.axes import Inferred, find_axes, guesses
from trtasync.rows.verdicts import Trial, Verdict


def infer(trial: Trial, **guess: int | None) -> Inferred:
    return find_axes(trial, guess, deadline=30)


def specs(**shapes: tuple[Any, ...]) -> list[TensorSpec]:
    return [TensorSpec(name, np.dtype(np.float32), shape) for name, shape in shapes.items()]


def test_a_guess_that_passes_is_taken_and_nothing_else_tried() -> None:
    trial = FunctionTrial(lambda x: 2 * x, {"x": ("N", "T")})
    found = infer(trial, x=0)
    assert found.axes == {"x": 0, "y0": 0}
    assert not found.why
    assert {arrays[0].shape[1] for arrays in trial.runs} == {64}


def test_state_with_its_batch_axis_in_the_middle_and_a_shared_scalar() -> None:
    found = infer(OnnxTrial(recurrent()))
    assert found.axes == {"input": 0, "state": 1, "sr": None, "output": 0, "stateN": 1}
    assert [one.verdict for one in found.findings] == [Verdict.TESTED] * 2


def test_state_whose_axes_have_no_names() -> None:
    def step(x: Array, h: Array, c: Array, rate: Array) -> tuple[Array, Array, Array]:
        h, c = np.tanh(h + x[None, :, :64]), np.tanh(c + x[None, :, :64] * (rate > 8000))
        return h.sum((0, 2)), h, c

    inputs: dict[str, tuple[Any, ...]] = {
        "x": (None, 512),
        "h": (2, None, 64),
        "c": (2, "unk__7", 64),
        "sr": (np.int64, ()),
    }
    found = infer(FunctionTrial(step, inputs, outputs=3))
    axes = {"x": 0, "h": 1, "c": 1, "sr": None}
    assert found.axes == axes | {"y0": 0, "y1": 1, "y2": 1}


def test_two_made_up_names_are_both_the_batch() -> None:
    model = graph(
        "(float[unk__1,4] a, float[unk__2,4] b) => (float[unk__3,4] y)", "{ y = Add(a, b) }"
    )
    assert infer(OnnxTrial(model)).axes == {"a": 0, "b": 0, "y": 0}


def test_a_table_that_all_rows_share_is_told_from_rows() -> None:
    trial = FunctionTrial(lambda x, w: x @ w.T @ w, {"x": (None, 4), "w": (None, 4)})
    assert infer(trial, x=0, w=0).axes == {"x": 0, "w": None, "y0": 0}


def test_rows_along_an_axis_that_the_guess_did_not_name() -> None:
    # time first, batch second: the sum over time is independent along the second axis alone
    trial = FunctionTrial(lambda x: x.cumsum(0), {"x": ("time", "batch", 8)})
    found = infer(trial, x=0)
    assert found.axes == {"x": 1, "y0": 1}


def test_axes_of_one_name_go_before_others() -> None:
    # elementwise: every axis would do; but two inputs share a name
    trial = FunctionTrial(lambda x, y: 2 * x + y, {"x": (None, "batch"), "y": (None, "batch")})
    found = infer(trial, x=0)
    assert found.axes == {"x": 1, "y": 1, "y0": 1}


def test_two_names_that_would_do_are_refused() -> None:
    trial = FunctionTrial(lambda x: x.cumsum(0), {"x": ("time", "batch", "bins")})
    assert infer(trial, x=0).why == (
        "more than one choice of axes would do: {'x': 1, 'y0': 1} or {'x': 2, 'y0': 2}"
    )


def test_several_choices_that_would_do_are_refused_and_named() -> None:
    trial = FunctionTrial(lambda x: 2 * x, {"x": (None, None)})
    found = infer(trial)
    assert found.axes is None
    assert found.why == (
        "more than one choice of axes would do: {'x': 0, 'y0': 0} or {'x': 1, 'y0': 1}"
    )


@pytest.mark.parametrize("model", [CUMSUM, QUANTIZED], ids=["cumsum", "quantized"])
def test_a_coupled_model_has_no_axes_and_keeps_the_evidence_of_the_guess(model: bytes) -> None:
    found = infer(OnnxTrial(model), x=0)
    assert found.axes is None
    assert found.why == f"no choice of axes passed the check; {found.findings[0].why}"
    assert [one.verdict for one in found.findings] == [Verdict.COUPLED]


def test_a_coupling_that_other_axes_show_is_told_and_the_findings_stay_the_guess_s() -> None:
    def step(x: Array, state: Array) -> Any:
        if state.shape[1] != len(x):
            raise ValueError("as many states as rows")
        return x + state.sum(0) + x.max(0)

    found = infer(FunctionTrial(step, {"x": ("batch", 8), "state": (2, "batch", 8)}), x=0)
    assert [one.verdict for one in found.findings] == [Verdict.UNKNOWN]
    assert found.why.startswith(
        "no choice of axes passed the check; with {'x': 0, 'state': 1}, y0: row 0 of 3 changed by"
    )


def test_a_name_that_occurs_twice_in_a_tensor_is_no_batch_axis() -> None:
    trial = OnnxTrial(SOFTMAX_OF_COLUMNS)
    assert infer(trial).axes is None
    assert not trial.runs


def test_samples_that_other_axes_do_not_suit_rule_those_out() -> None:
    def both(x: Array, y: Array) -> Any:
        return x.cumsum(0).sum(2) + y.cumsum(0).sum(2)

    trial = FunctionTrial(both, {"x": ("T", "N", "A"), "y": ("T", "N", "B")})
    samples = [np.ones((5, 2, 4)), np.ones((5, 2, 3))]
    found = find_axes(trial, {"x": 0, "y": 0}, deadline=30, samples=samples)
    assert found.axes == {"x": 1, "y": 1, "y0": 1}


def test_samples_that_the_guess_does_not_suit_are_refused() -> None:
    trial = FunctionTrial(lambda x, y: x, {"x": ("N", 4), "y": ("N", 4)})
    samples = [np.ones((5, 4)), np.ones((3, 4))]
    with pytest.raises(InvalidInput, match="the same number of rows"):
        find_axes(trial, {"x": 0, "y": 0}, deadline=30, samples=samples)


def test_nothing_is_inferred_after_time_has_ended() -> None:
    now = [0.0]

    def slow(x: Array) -> Any:
        now[0] += 1
        return x.cumsum(0)

    trial = FunctionTrial(slow, {"x": ("time", "batch", 8)})
    found = find_axes(trial, {"x": 0}, deadline=15, clock=lambda: now[0])
    assert found.axes is None
    assert found.why == "time ended before all choices of axes were tried"
    assert len(trial.runs) == 15


def test_no_more_than_a_score_of_choices_are_tried() -> None:
    trial = FunctionTrial(
        lambda *xs: sum(x.sum() for x in xs), {f"x{i}": (None, None, None) for i in range(4)}
    )
    assert infer(trial).axes is None
    layouts = {tuple(array.shape for array in arrays) for arrays in trial.runs}
    assert len([shapes for shapes in layouts if 5 in (shapes[0] + shapes[1])]) <= 24


def test_likely_choices_come_first() -> None:
    inputs = specs(x=("batch", 512), state=(2, "batch", 128), extra=(None, 3), sr=())
    (_, first), (_, second), *_ = guesses(inputs, {})
    assert first == {"x": 0, "state": 1, "extra": 0, "sr": None}
    assert second == {"x": 0, "state": 1, "extra": None, "sr": None}


def test_batch_axes_of_different_names_are_tried_in_the_end() -> None:
    inputs = specs(x=("images", 4), y=("texts", 4))
    assert [axes for _, axes in guesses(inputs, {})] == [
        {"x": 0, "y": None},
        {"x": None, "y": 0},
        {"x": 0, "y": 0},
    ]


def test_fixed_axes_and_the_first_guess_are_no_choice() -> None:
    assert list(guesses(specs(x=(4, "N")), {"x": 1})) == []
