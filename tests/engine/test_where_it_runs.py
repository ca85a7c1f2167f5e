"""On the loop or on a lane's thread, and on several lanes at once."""

import threading

import anyio
import anyio.lowlevel
import pytest

from support.helpers import Array, check_at_rest, opened, row, same, submit_all, tensor, until
from tests.engine.models import X
from trtasync import open_engine
from trtasync.testing import FunctionBackend, ScriptedBackend

pytestmark = pytest.mark.anyio


def _remember_thread(threads: list[str]) -> FunctionBackend:
    def function(x: Array) -> Array:
        threads.append(threading.current_thread().name)
        return -x

    return FunctionBackend(function, inputs=[X], outputs=[tensor("y", "N", 4)])


async def test_without_a_budget_nothing_ever_runs_on_the_loop() -> None:
    threads: list[str] = []
    async with open_engine(_remember_thread(threads), loop_budget=0.0) as engine:
        for _ in range(20):
            await engine.infer(row(1))
        assert engine.statistics().streams[0].on_loop == 0
    assert set(threads) == {"trtasync function stream 0"}


async def test_short_runs_move_to_the_loop_once_they_are_known_to_be_short() -> None:
    threads: list[str] = []
    here = threading.current_thread().name
    async with open_engine(_remember_thread(threads), loop_budget=60.0) as engine:
        for _ in range(20):
            await engine.infer(row(1))
        (stream,) = engine.statistics().streams
        assert (stream.batches, stream.on_loop) == (20, 19)
    assert threads == ["trtasync function stream 0"] + [here] * 19


async def test_an_asynchronous_lane_is_polled_when_short_and_waited_for_when_not() -> None:
    for budget, on_loop in ((60.0, 9), (0.0, 0)):
        backend = ScriptedBackend(asynchronous=True, depth=2)
        async with open_engine(backend, loop_budget=budget) as engine:
            for value in range(10):
                assert same(await engine.infer(row(value)), row(value))
            assert engine.statistics().streams[0].on_loop == on_loop


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("owned", [False, True])
async def test_several_lanes_run_at_once(asynchronous: bool, owned: bool) -> None:
    backend = ScriptedBackend(asynchronous=asynchronous, owned_slots=owned)
    async with opened(backend, streams=3, max_batch_size=1) as engine:
        async with anyio.create_task_group() as tasks:
            backend.gate.shut()
            callers = await submit_all(tasks, engine, range(5))
            await until(lambda: backend.gate.arrived == 3)
            assert [stream.running for stream in engine.statistics().streams] == [1, 1, 1]
            backend.gate.let()
        assert [caller.answer[0] for caller in callers] == [0, 1, 2, 3, 4]
        assert check_at_rest(engine).batches == 5
