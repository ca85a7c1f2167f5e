"""What Ray is told of an engine, without Ray: limits, progress, load, replicas wanted."""

import math
import pickle
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.helpers import opened, row, rows, until
from trtasync import DeviceLost, InferenceError, RunTooLong
from trtasync.integrations.ray_serve import deadlines
from trtasync.integrations.ray_serve.deadlines import Deadline, arrived
from trtasync.integrations.ray_serve.limits import ongoing_requests
from trtasync.integrations.ray_serve.load import Gauge, rows_per_second, streams_by_device
from trtasync.integrations.ray_serve.progress import Progress
from trtasync.integrations.ray_serve.scaling import BUSY, UTILISATION, WAIT, by_load, wanted
from trtasync.scheduler.cost import CostCurve
from trtasync.testing import ScriptedBackend

TICK = 0.001
"""Seconds of uvloop's clock, at most."""


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        ({"max_batch_size": 32, "streams": 1, "max_queue_size": 64}, 32 + 64 + 32),
        ({"max_batch_size": 8, "streams": 2, "devices": [0, 1], "max_queue_size": 9}, 32 + 9 + 8),
        ({"batch_sizes": [1, 4], "streams": 1, "max_queue_size": 1}, 4 + 1 + 4),
        ({"max_batch_size": 512, "streams": 1}, 512 + 16 * 512 + 512),
        ({}, 2 * 128 + 4096 + 128),
    ],
)
def test_a_replica_is_sent_what_its_engine_holds_and_a_batch_more(
    options: Mapping[str, Any], requests: int
) -> None:
    assert ongoing_requests(options) == requests


@pytest.mark.anyio
async def test_an_engine_with_work_has_to_get_on_with_it() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        progress = Progress(engine, 5.0)
        progress.check(0.0)
        progress.check(100.0)  # nothing to do
        backend.gate.shut()
        tasks.start_soon(engine.infer, row(1))
        await until(lambda: engine.statistics().in_flight == 1)
        progress.check(100.0)
        progress.check(104.9)
        with pytest.raises(RunTooLong, match="no batch has ended for 5 s, and 1 rows run"):
            progress.check(105.0)
        tasks.start_soon(engine.infer, row(1))
        backend.gate.let(1)
        await until(lambda: engine.statistics().batches == 1)
        progress.check(106.0)  # there is more to do, but a batch has ended
        backend.gate.let()


@pytest.mark.anyio
async def test_rows_that_wait_and_never_run_are_work_too() -> None:
    async with (
        opened(ScriptedBackend(), max_queue_delay=60.0) as engine,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(engine.infer, row(1))
        await until(lambda: engine.statistics().queued == 1)
        progress = Progress(engine, 5.0)
        progress.check(100.0)
        with pytest.raises(RunTooLong, match="0 rows run"):
            progress.check(105.0)
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_an_engine_whose_model_fails_gets_on() -> None:
    backend = ScriptedBackend()
    backend.bad = lambda row: True

    async def fails() -> None:
        with pytest.raises(InferenceError):
            await engine.infer(row(1))

    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        progress = Progress(engine, 5.0)
        backend.gate.shut()
        for _ in range(2):
            tasks.start_soon(fails)
        await until(lambda: engine.statistics().in_flight > 0)
        progress.check(100.0)
        backend.gate.let(1)
        await until(lambda: engine.statistics().failed + engine.statistics().retried == 1)
        progress.check(106.0)
        backend.gate.let()


@pytest.mark.anyio
async def test_an_engine_without_streams_is_not_well() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine:
        backend.lose = True
        with pytest.raises(DeviceLost):
            await engine.infer(row(1))
        with pytest.raises(DeviceLost, match="no stream is left"):
            Progress(engine, 5.0).check(0.0)


@pytest.mark.anyio
async def test_the_load_is_told_from_look_to_look() -> None:
    backend, before = ScriptedBackend(), time.monotonic()
    async with opened(backend, max_batch_size=4) as engine, anyio.create_task_group() as tasks:
        gauge = Gauge(engine)
        assert gauge.read() == (0.0, 0.0, 0.0)
        await engine.infer(rows([1, 2, 3, 4]))
        first = gauge.read()
        assert first.capacity > 0.0
        assert first.utilisation * first.capacity >= 4 / (time.monotonic() - before)
        assert first.wait == 0.0
        backend.gate.shut()
        for _ in range(2):
            tasks.start_soon(engine.infer, rows([1, 2, 3, 4]))
        await until(lambda: engine.statistics().queued == 4)
        second = gauge.read()
        assert second.utilisation == 0.0
        assert second.wait == pytest.approx(4 / second.capacity)
        backend.gate.let()


def curve(seconds: Mapping[int, float], contention: float | None = None) -> CostCurve:
    """Of what batches of some sizes took, and how much they hold each other up."""
    learned = CostCurve()
    for size, each in seconds.items():
        learned.learn(size, each, 0.0)
        if contention is not None:
            elapsed = each / (1.0 - contention / 2)
            learned.learn_contention(size, each, each, 0.0)
            learned.learn_contention(size, elapsed, elapsed / 2, 0.0)
    return learned


def test_capacity_is_that_of_the_best_size_known() -> None:
    assert rows_per_second([], 32, 1, 0.0) == 0.0
    assert rows_per_second([CostCurve()], 32, 1, 0.0) == 0.0
    constant = curve({1: 0.02, 32: 0.02})
    assert rows_per_second([constant], 32, 1, 0.0) == pytest.approx(1600)
    assert rows_per_second([constant], 24, 1, 0.0) == pytest.approx(1200)  # no batch is larger
    slow_when_large = curve({8: 0.008, 32: 0.064})
    assert rows_per_second([slow_when_large], 32, 1, 0.0) == pytest.approx(1000)
    both = rows_per_second([constant, curve({32: 0.06})], 32, 1, 0.0)
    assert both == pytest.approx(800)  # two rows take 1/1600 + 3/1600 s


@pytest.mark.parametrize(("contention", "gain"), [(0.0, 2.0), (0.5, 1.5), (1.0, 1.0)])
def test_streams_add_what_they_do_not_take_from_each_other(contention: float, gain: float) -> None:
    alone = curve({8: 0.01}, contention)
    assert rows_per_second([alone], 8, 2, 0.0) == pytest.approx(gain * 800)


def test_streams_that_died_do_nothing_and_others_share_their_device_only() -> None:
    def stream(device: int, *, alive: bool = True) -> Any:
        return SimpleNamespace(device=device, alive=alive)

    streams = [stream(0), stream(0), stream(1), stream(1, alive=False), stream(2, alive=False)]
    assert sorted(streams_by_device(streams)) == [1, 2]


def test_being_busy_alone_is_no_reason_for_more_replicas() -> None:
    assert math.ceil(wanted([1.0], [0.02])) == 1
    assert math.ceil(wanted([1.0], [0.5])) == 2
    assert math.ceil(wanted([0.3, 0.3], [0.0, 0.0])) == 1
    assert math.ceil(wanted([0.6, 0.6], [0.0, 0.0])) == 2
    assert wanted([0.0], [0.0]) == 0.0


@given(st.lists(st.floats(0, 2), min_size=1, max_size=20))
def test_without_rows_that_wait_there_are_never_more_replicas(utilisations: list[float]) -> None:
    assert math.ceil(wanted(utilisations, [0.0] * len(utilisations))) <= len(utilisations)


def test_replicas_stay_as_many_until_they_have_told_their_load() -> None:
    def context(metrics: Any) -> Any:
        return SimpleNamespace(target_num_replicas=3, aggregated_metrics=metrics)

    assert by_load(context(None)) == (3, {})
    assert by_load(context({"other": {"a": 1.0}})) == (3, {})
    told = {UTILISATION: {"a": BUSY, "b": BUSY}, WAIT: {"a": 0.5, "b": 0.0}}
    assert by_load(context(told))[0] == pytest.approx(2.9)


@pytest.mark.anyio
async def test_a_deadline_is_the_callers() -> None:
    assert Deadline.of_caller() is None
    before = time.monotonic()
    with anyio.fail_after(60):  # noqa: ASYNC100 - it is only looked at
        deadline = Deadline.of_caller()
    assert deadline is not None
    assert before + 60 - TICK <= deadline.until <= time.monotonic() + 60 + TICK
    with anyio.CancelScope() as scope:  # noqa: ASYNC100 - likewise
        scope.cancel()
        gone = Deadline.of_caller()
    assert gone is not None
    assert pickle.loads(pickle.dumps(gone)).left() == 0.0


def test_a_deadline_on_the_same_machine_is_the_same() -> None:
    now = time.monotonic()
    deadline = Deadline(now + 60)
    if deadlines.CLOCK:
        assert pickle.loads(pickle.dumps(deadline)).until == pytest.approx(deadline.until)
        assert arrived(60.0, now + 10, deadlines.CLOCK).until == now + 10


@pytest.mark.parametrize("clock", ["another", ""])
@pytest.mark.parametrize("until", [-1e9, 1e9])
def test_a_deadline_on_another_machine_counts_from_its_arrival(
    monkeypatch: pytest.MonkeyPatch, clock: str, until: float
) -> None:
    monkeypatch.setattr(deadlines, "CLOCK", clock and "this")
    before = time.monotonic()
    deadline = arrived(60.0, until, clock)
    assert before + 60 <= deadline.until <= time.monotonic() + 60
    assert arrived(0.0, until, clock).left() == 0.0


def test_a_deadline_never_grows_on_its_way() -> None:
    """As where a machine was restored from another one's snapshot, clock and all."""
    assert arrived(60.0, time.monotonic() + 1e6, deadlines.CLOCK).left() <= 60
