"""What profilers are told of openings and batches, where they asked for it."""

import sys

import anyio
import pytest

from support.helpers import at_once, check_at_rest, hold, opened, row, rows, submit, until
from tests.core.marked import Marks
from trtasync import DeviceLost, InferenceError, open_engine
from trtasync.core.completion import Completion
from trtasync.core.intake import Intake
from trtasync.core.pump import Pump
from trtasync.system.ranges import VARIABLE
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

BATCH = ("batch", "launch", "wait", "deliver")


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> Marks:
    """What would be seen, of engines that are opened from now on."""
    marks = Marks()
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setitem(sys.modules, "nvtx", marks.package())
    return marks


@pytest.mark.parametrize("loop_budget", [0.0, 10.0], ids=["thread", "loop"])
async def test_each_batch_has_its_steps(marks: Marks, loop_budget: float) -> None:
    backend = ScriptedBackend(lambda x: 2 * x)
    async with opened(backend, loop_budget=loop_budget) as engine:
        for value in range(3):
            await engine.infer(rows([value] * 2))
    assert [[each.payload for each in marks.named(name)] for name in BATCH] == [
        [2] * 3,
        [2] * 3,
        [None] * 3,
        [2] * 3,
    ]
    assert all(each.is_over for each in marks.ranges)
    assert {each.outer for each in marks.named("batch")} == {()}
    in_thread = ["stream" in each.thread for each in marks.named("launch")]
    assert in_thread == [True] * 3 if not loop_budget else not all(in_thread)
    for step in BATCH[1:]:
        outer = [() if each else ("batch",) for each in in_thread]
        assert [each.outer for each in marks.named(step)] == outer


async def test_what_waits_in_line_is_staged_when_there_is_room(marks: Marks) -> None:
    backend = ScriptedBackend()
    async with opened(backend, max_batch_size=1) as engine, anyio.create_task_group() as tasks:
        await hold(tasks, engine, backend)
        callers = [await submit(tasks, engine, row(value)) for value in range(20)]
        assert not marks.named("stage")
        backend.gate.let()
        await until(lambda: all(caller.done for caller in callers))
    assert marks.named("stage")
    assert all(each.is_over for each in marks.ranges)


async def test_opening_a_model_has_its_steps(marks: Marks) -> None:
    async with open_engine(ScriptedBackend()):
        pass
    assert [(each.message, each.outer) for each in marks.ranges] == [
        ("open", ()),
        ("load", ("open",)),
        ("judge rows", ("open",)),
        ("open lanes", ("open",)),
    ]
    assert all(each.is_over for each in marks.ranges)


async def test_failed_batches_end_their_ranges(marks: Marks) -> None:
    """Halves that are run again are launched and waited for like others."""
    backend = ScriptedBackend()
    backend.bad = lambda values: values[0] < 0
    async with opened(backend) as engine:
        async with anyio.create_task_group() as tasks:
            blocker = await hold(tasks, engine, backend)
            good = [await submit(tasks, engine, row(value)) for value in (1, 2)]
            bad = await submit(tasks, engine, row(-2))
            backend.gate.let()
        assert isinstance(blocker.error, InferenceError)
        assert isinstance(bad.error, InferenceError)
        assert [each.answer[0] for each in good] == [1, 2]
        check_at_rest(engine)
    assert all(each.is_over for each in marks.ranges)
    assert [each.payload for each in marks.named("batch")] == [1, 3]
    assert [each.payload for each in marks.named("deliver")] == [3]
    assert len(marks.named("launch")) == len(marks.named("wait")) > 3


async def test_a_lost_lane_and_a_cancelled_caller_end_theirs(marks: Marks) -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine:
        async with anyio.create_task_group() as tasks:
            blocker = await hold(tasks, engine, backend)
            waiting = await submit(tasks, engine, row(1))
            waiting.scope.cancel()
            blocker.scope.cancel()
            await until(lambda: waiting.done and blocker.done)
            backend.gate.let()
        await engine.infer(row(2))
        backend.lose = True
        with pytest.raises(DeviceLost):
            await engine.infer(row(3))
    assert all(each.is_over for each in marks.ranges)
    assert len(marks.named("batch")) == 3  # nothing was launched for who left before


async def test_runs_that_are_watched_and_stopped(marks: Marks) -> None:
    """A lane whose runs can be ended from outside still looks like one."""
    async with opened(ScriptedBackend(), run_timeout=60.0) as engine:
        await at_once(engine, [row(1), row(2)])
    assert len(marks.named("wait")) == len(marks.named("launch")) > 0
    assert all(each.is_over for each in marks.ranges)


async def test_without_them_an_engine_has_no_part_that_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    backend = ScriptedBackend()
    async with opened(backend) as engine:
        core = engine._core
        assert type(core.pump) is Pump
        assert type(core.completion) is Completion
        assert type(core.intake) is Intake
        assert [worker.lane for worker in core._workers] == backend.lanes
