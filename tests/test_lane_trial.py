"""A backend tried through one of its lanes."""

from pathlib import Path

import numpy as np
import pytest

from tests import doubles
from tests.doubles import models
from tests.helpers import Array, tensor
from tests.tensorrt.support import double, lines, write
from trtasync.backends.lane_trial import LaneTrial
from trtasync.backends.tensorrt import TensorRTOptions, load
from trtasync.errors import InferenceError, InvalidInput
from trtasync.rows import Verdict
from trtasync.rows.check import check
from trtasync.testing import FunctionBackend


def ramp(*shape: int) -> Array:
    """Numbers that differ."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def function(**shapes: tuple[int | str | None, ...]) -> FunctionBackend:
    """The sum of its inputs, and whether there was more than one row."""
    inputs = [tensor(name, *shape) for name, shape in shapes.items()]
    outputs = [tensor("sum", "N", 4), tensor("several")]
    return FunctionBackend(
        lambda *arrays: [sum(arrays), np.float32(len(arrays[0]) > 1)],
        inputs=inputs,
        outputs=outputs,
    )


def test_whole_arrays_come_and_go_as_they_are() -> None:
    backend = function(x=("N", 4), y=("N", 4))
    trial = LaneTrial(backend, backend.spec)
    for rows in (1, 3, 2):
        total, several = trial.run([ramp(rows, 4), ramp(rows, 4)])
        assert np.array_equal(total, 2 * ramp(rows, 4))
        assert (several.shape, bool(several)) == ((), rows > 1)
    trial.close()
    assert backend.closed == 1


def test_outputs_are_no_memory_of_the_slot() -> None:
    backend = function(x=("N", 4))
    trial = LaneTrial(backend, backend.spec)
    first, _ = trial.run([ramp(2, 4)])
    trial.run([ramp(2, 4) + 1])
    assert np.array_equal(first, ramp(2, 4))
    trial.close()


def test_a_stopped_trial_refuses() -> None:
    backend = function(x=("N", 4))
    trial = LaneTrial(backend, backend.spec)
    trial.stop()
    with pytest.raises(InferenceError, match="stopped"):
        trial.run([ramp(1, 4)])
    trial.close()


def test_a_backend_that_does_not_open_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = function(x=("N", 4))

    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(backend, "open", refuse)
    with pytest.raises(MemoryError):
        LaneTrial(backend, backend.spec)
    assert backend.closed == 1


# -- a plan, on the doubles -----------------------------------------------------------------------


def plan_trial(folder: Path, model: models.Model) -> LaneTrial:
    """A trial of a plan."""
    backend = load(write(folder, model), TensorRTOptions(padding={}))
    return LaneTrial(backend, backend.spec)


def test_a_plan_runs_on_whole_arrays(tmp_path: Path) -> None:
    with doubles.install():  # which sees to it that nothing is left open
        trial = plan_trial(tmp_path, lines())
        for shape in ((1, 5), (3, 16), (4, 64)):
            (output,) = trial.run([ramp(*shape)])
            assert np.array_equal(output, double(ramp(*shape)))
        with pytest.raises(InvalidInput, match="no optimization profile"):
            trial.run([ramp(5, 5)])
        trial.close()


@pytest.mark.parametrize(
    ("function", "verdict"),
    [(double, Verdict.TESTED), (lambda x: x - x.max(axis=0, keepdims=True), Verdict.COUPLED)],
)
def test_the_check_of_a_plan(tmp_path: Path, function: object, verdict: Verdict) -> None:
    assert callable(function)
    with doubles.install():
        trial = plan_trial(tmp_path, models.elementwise(function, most=8))
        (finding,) = check(trial, {"x": 0}, deadline=20, sizes=range(1, 9))
        trial.close()
    assert finding.verdict is verdict
