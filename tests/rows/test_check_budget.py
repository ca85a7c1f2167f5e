"""The check ends in time, says how far it got, and leaves nothing behind."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from support.helpers import PATIENCE
from tests.rows.support import FunctionTrial, OnnxTrial, graph
from trtasync.model.arrays import Array
from trtasync.rows.check import check
from trtasync.rows.verdicts import Verdict

ENDLESS = graph(
    "(float[N,4] x) => (float[N,4] y) <int64 many = {1000000000000}, bool true = {1}>",
    """{
        y = Loop (many, true, x) <body = step (int64 i, bool on, float[N,4] a)
            => (bool still, float[N,4] b) {
                still = Identity(on)
                b = Tanh(a)
        }>
    }""",
)


class Clock:
    """Advances by one second with every run of `function`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def doubled(self, x: Array) -> Array:
        self.now += 1
        return 2 * x

    def coupled(self, x: Array) -> Any:
        self.now += 1
        return x + x.max(0)


def standing() -> float:
    """The time: only the timer ends it."""
    return 0.0


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set by a run that is to be stopped. Timers do not ring before, for however long the machine
    pauses until then."""
    stuck = threading.Event()

    class Patient(threading.Timer):
        def run(self) -> None:
            assert stuck.wait(PATIENCE)
            super().run()

    monkeypatch.setattr(threading, "Timer", Patient)
    return stuck


def test_a_run_that_does_not_end_is_stopped(stuck: threading.Event) -> None:
    class Endless(OnnxTrial):
        def run(self, arrays: Sequence[Array]) -> list[Array]:
            stuck.set()
            return super().run(arrays)

    trial = Endless(ENDLESS)
    (finding,) = check(trial, {"x": 0}, deadline=0.05, clock=standing)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.why.startswith("out of time after 0 of")
    assert trial.ended == 1


def test_the_timer_stops_the_trial_while_a_run_is_under_way(stuck: threading.Event) -> None:
    def wait(x: Array) -> Array:
        stuck.set()
        trial.stopped.wait()
        raise RuntimeError("stopped")

    trial = FunctionTrial(wait, {"x": ("N", 4)})
    (finding,) = check(trial, {"x": 0}, deadline=0.05, clock=standing)
    assert finding.verdict is Verdict.UNKNOWN
    assert len(trial.runs) == 1


def test_a_run_that_was_stopped_is_no_refusal(stuck: threading.Event) -> None:
    def wait_on_five(x: Array) -> Array:
        if len(x) == 5:
            stuck.set()
            trial.stopped.wait()
            raise RuntimeError("stopped")
        return x

    trial = FunctionTrial(wait_on_five, {"x": ("N", 4)})
    (finding,) = check(trial, {"x": 0}, deadline=0.05, clock=standing)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.why == "out of time after 1 of 21 runs"


def test_a_run_that_is_stopped_and_returns_all_the_same_is_the_last(
    stuck: threading.Event,
) -> None:
    def wait(x: Array) -> Array:
        stuck.set()
        trial.stopped.wait()
        return x

    trial = FunctionTrial(wait, {"x": ("N", 4)})
    (finding,) = check(trial, {"x": 0}, deadline=0.01, clock=standing)
    assert finding.why.startswith("out of time after 1 of")
    assert len(trial.runs) == 1


@pytest.mark.parametrize("runs", [1, 2, 3, 4, 5])
def test_out_of_time_before_enough_was_seen_is_unknown(runs: int) -> None:
    clock = Clock()
    trial = FunctionTrial(clock.doubled, {"x": ("N", 4)})
    (finding,) = check(trial, {"x": 0}, deadline=runs, clock=clock)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.why == f"out of time after {runs} of 21 runs"
    assert len(trial.runs) == runs


def test_out_of_time_after_two_exchanges_is_tested_as_far_as_it_went() -> None:
    clock = Clock()
    trial = FunctionTrial(clock.doubled, {"x": ("N", 4)})
    (finding,) = check(trial, {"x": 0}, deadline=6, clock=clock)
    assert finding.verdict is Verdict.TESTED
    assert finding.why == "its rows kept their bits in 2 exchanges of their neighbours"


def test_a_coupling_that_was_found_stands_when_time_ends() -> None:
    clock = Clock()
    trial = FunctionTrial(lambda x: (clock.coupled(x), x), {"x": ("N", 4)}, outputs=2)
    # base, 5 rows, 1 row, the exchange; there is no time to see whether the base repeats itself
    findings = check(trial, {"x": 0}, deadline=4, clock=clock)
    assert [one.verdict for one in findings] == [Verdict.COUPLED, Verdict.UNKNOWN]


def test_without_time_nothing_runs() -> None:
    trial = FunctionTrial(np.abs, {"x": ("N", 4)})
    (finding,) = check(trial, {"x": 0}, deadline=0)
    assert finding.verdict is Verdict.UNKNOWN
    assert not trial.runs


def new_threads(before: Sequence[threading.Thread]) -> set[threading.Thread]:
    """Others end meanwhile: idle workers of the loops of earlier tests."""
    return {*threading.enumerate()} - {*before}


def test_no_thread_is_left_behind_and_the_trial_goes_on() -> None:
    before = threading.enumerate()
    trial = FunctionTrial(np.abs, {"x": ("N", 4)})
    (finding,) = check(trial, {"x": 0}, deadline=100)
    assert finding.verdict is Verdict.TESTED
    assert new_threads(before) == set()
    assert not trial.stopped.is_set()


def test_a_budget_without_end_needs_no_timer() -> None:
    (finding,) = check(FunctionTrial(np.abs, {"x": ("N", 4)}), {"x": 0}, deadline=float("inf"))
    assert finding.verdict is Verdict.TESTED


def test_ctrl_c_passes_and_leaves_no_thread() -> None:
    def interrupted(x: Array) -> Array:
        raise KeyboardInterrupt

    before = threading.enumerate()
    with pytest.raises(KeyboardInterrupt):
        check(FunctionTrial(interrupted, {"x": ("N", 4)}), {"x": 0}, deadline=100)
    assert new_threads(before) == set()
