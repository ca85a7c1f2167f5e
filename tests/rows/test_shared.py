"""Whole numbers that all rows share: what they decide is tried, not only what was drawn."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.rows.support import FunctionTrial, OnnxTrial, graph
from trtasync.model.arrays import Array
from trtasync.rows import Finding, Verdict
from trtasync.rows.check import check
from trtasync.rows.shared import vary

INPUTS = {"x": ("N", 3), "axis": (np.int64, ())}
AXES = {"x": 0, "axis": None, "y0": 0, "y": 0}


def examined(trial: Any, seconds: float = 20.0) -> Finding:
    tested = check(trial, AXES, deadline=seconds)
    (finding,) = vary(trial, AXES, tested, deadline=seconds)
    return finding


def test_an_axis_that_is_an_input_is_tried() -> None:
    trial = OnnxTrial(
        graph("(float[N,3] x, int64 axis) => (float[N,3] y)", "{ y = CumSum(x, axis) }")
    )
    along_columns = (Finding("y", Verdict.TESTED),)  # as it is with axis=1
    (finding,) = vary(trial, AXES, along_columns, deadline=20)
    assert finding.verdict is Verdict.COUPLED
    assert "where 'axis' is 0" in finding.why


def test_rows_that_lie_elsewhere_with_another_value_are_not_told_apart() -> None:
    trial = OnnxTrial(
        graph("(float[N,3] x, int64[1] axis) => (float[a,b,c] y)", "{ y = Unsqueeze(x, axis) }")
    )
    (finding,) = vary(trial, AXES, (Finding("y", Verdict.TESTED),), deadline=20)
    assert (finding.verdict, finding.axis) == (Verdict.COUPLED, None)
    assert "along axis 1 where 'axis' is 0" in finding.why


def switched(at: int) -> Any:
    def function(x: Array, axis: Array) -> Array:
        return x + x.max(axis=0) if int(axis) == at else 2 * x

    return FunctionTrial(function, INPUTS)


@pytest.mark.parametrize("at", [0, 1, -1, 2])
def test_a_mode_that_couples_is_found(at: int) -> None:
    finding = examined(switched(at))
    assert finding.verdict is Verdict.COUPLED


def test_what_no_value_couples_stays_tested() -> None:
    assert examined(switched(77)).verdict is Verdict.TESTED


def test_values_that_are_refused_say_nothing() -> None:
    def picky(x: Array, axis: Array) -> Array:
        if int(axis) != 16000:
            raise ValueError("only 16000")
        return 2 * x

    trial = FunctionTrial(picky, INPUTS)
    tested = (Finding("y0", Verdict.TESTED),)
    assert vary(trial, AXES, tested, deadline=20) == tested


def test_without_time_for_all_values_nothing_is_known() -> None:
    class Slow(FunctionTrial):
        def run(self, arrays: Sequence[Array]) -> list[Array]:
            end = time.monotonic() + 0.02
            while time.monotonic() < end:
                pass
            return super().run(arrays)

    trial = Slow(lambda x, axis: 2 * x, INPUTS)
    (finding,) = vary(trial, AXES, (Finding("y0", Verdict.TESTED),), deadline=0.03)
    assert finding.verdict is Verdict.UNKNOWN
    assert "'axis'" in finding.why
    coupled = (Finding("y0", Verdict.COUPLED, why="seen"),)
    assert vary(trial, AXES, coupled, deadline=0) == coupled


def test_without_such_inputs_nothing_is_run() -> None:
    trial = FunctionTrial(lambda x: 2 * x, {"x": ("N", 3)})
    tested = (Finding("y0", Verdict.TESTED),)
    assert vary(trial, {"x": 0}, tested, deadline=20) == tested
    assert trial.runs == []
