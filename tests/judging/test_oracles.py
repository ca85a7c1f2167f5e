"""The judge of other people's models sees what it is there for."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support.onnx_models import FLOAT, node, value, write_model
from tests.judging.judgements import Judgement, Outcome, reason
from tests.judging.oracles import Array, NotRun, Oracle, RowOracle, Traits, difference, judge

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)
PLAIN = Traits()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "trtasync")


def _summed(folder: Path, batch: int | str) -> Path:
    """y = the sums of x along its first axis so far: a row depends on those before it."""
    x, y = (value(name, FLOAT, [batch, 4]) for name in ("x", "y"))
    sums = node("CumSum", ["x", "axis"], ["y"])
    return write_model(folder / "summed.onnx", [sums], [x], [y], {"axis": np.array(0)})


def _judged(path: Path, oracle: Oracle, feeds: Sequence[Any], **options: Any) -> Judgement:
    async def run() -> Judgement:
        return await judge("summed", path, oracle, feeds, PLAIN, **options)

    return anyio.run(run)


def test_rows_that_shine_through_are_wrong(tmp_path: Path) -> None:
    path = _summed(tmp_path, "batch")
    feeds = [{"x": ROWS}, {"x": ROWS + 1}]
    found = _judged(path, Oracle(path), feeds, batching=True)
    assert (found.outcome, found.stage, found.shared) == (Outcome.WRONG, "together", True)


def test_a_refusal_hides_no_wrong_answer(tmp_path: Path) -> None:
    path = _summed(tmp_path, "batch")
    feeds = [{"x": ROWS}, {"x": ROWS.astype(np.float64)}, {"x": ROWS + 1}]
    found = _judged(path, Oracle(path), feeds, batching=True)
    assert (found.outcome, found.stage) == (Outcome.WRONG, "together")


def test_rows_that_do_not_meet_are_right(tmp_path: Path) -> None:
    path = _summed(tmp_path, "batch")
    feeds = [{"x": ROWS}, {"x": ROWS + 1}]
    found = _judged(path, Oracle(path), feeds, batching=False)
    assert (found.outcome, found.detail, found.shared) == (Outcome.RIGHT, "", False)


def test_single_rows_of_a_fixed_batch_that_meet_are_wrong(tmp_path: Path) -> None:
    path = _summed(tmp_path, 3)
    oracle = RowOracle(path, {"x"}, 3)
    feeds = [{"x": ROWS[row : row + 1]} for row in range(3)]
    assert _judged(path, oracle, feeds, batching=True).outcome is Outcome.WRONG


def test_a_request_that_is_not_taken_is_refused(tmp_path: Path) -> None:
    path = _summed(tmp_path, "batch")
    found = _judged(path, Oracle(path), [{"x": ROWS.astype(np.float64)}])
    assert (found.outcome, found.stage) == (Outcome.REFUSED, "alone")
    assert found.detail.startswith("InvalidInput: ")


def test_any_other_exception_is_unclear(tmp_path: Path) -> None:
    path = _summed(tmp_path, "batch")
    found = _judged(path, Oracle(path), [{"x": ROWS}], no_such_option=1)
    assert (found.outcome, found.stage) == (Outcome.UNCLEAR, "open")
    assert "TypeError" in found.detail


def test_what_the_runtime_does_not_load_is_not_judged() -> None:
    with pytest.raises(NotRun):
        Oracle(b"no model")


ONE = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("answer", "traits", "exact", "expected"),
    [
        (ONE, PLAIN, True, ""),
        (ONE + np.float32(1e-6), PLAIN, True, "other bits"),
        (ONE + np.float32(1e-6), PLAIN, False, ""),
        (ONE + np.float32(1e-3), PLAIN, False, "0.001 of the largest number away"),
        (np.array([1, np.nan, 1], np.float32), PLAIN, False, "inf of the largest number away"),
        (ONE[:2], Traits(random=True), False, "float32(2,), expected float32(3,)"),
        (ONE.astype(np.float64), PLAIN, True, "float64(3,), expected float32(3,)"),
        (ONE * 7, Traits(random=True), True, ""),
    ],
)
def test_differences(answer: Array, traits: Traits, exact: bool, expected: str) -> None:
    found = difference({"y": answer}, {"y": ONE}, traits, exact)
    assert found.startswith(f"y: {expected}") if expected else found == ""


def test_whole_numbers_are_equal_or_a_step_apart_where_they_were_rounded() -> None:
    answer, wanted = {"y": np.array([4, 5])}, {"y": np.array([4, 6])}
    assert difference(answer, wanted, PLAIN, False) == "y: 1 away"
    assert difference(answer, wanted, Traits(quantized=True), False) == ""
    assert difference({}, wanted, PLAIN, False) == "outputs [], expected ['y']"


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (
            "PlanError: input 'x' is a seq(tensor(float)); only tensors can be batched.",
            "PlanError: input is a seq(...)",
        ),
        (
            "InvalidInput: input x: float32[3, 4] got shape (1, 4); axis 0 must be 3.",
            "InvalidInput: input got another shape",
        ),
        (
            "RequestTooLarge: a request of 10000 rows never fits max_queue_size=4096; send less.",
            "RequestTooLarge: a request of n rows never fits max_queue_size=n",
        ),
    ],
)
def test_reasons_leave_out_what_differs_between_models(detail: str, expected: str) -> None:
    assert reason(Judgement("m", Outcome.REFUSED, "open", detail)) == expected
