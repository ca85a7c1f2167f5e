"""Lanes that die in the middle of more than one thing: neighbours stay right, reasons are told."""

import threading
import time
from collections.abc import Callable

import anyio
import numpy as np
import pytest

from support.helpers import (
    PATIENCE,
    Array,
    check_at_rest,
    hold,
    opened,
    row,
    same,
    submit,
    submit_all,
    until,
)
from trtasync import DeviceLost, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

LOST, STRAGGLER, NEIGHBOUR, LATER = 1.0, 2.0, 3.0, 4.0


def block_until(condition: Callable[[], bool]) -> None:
    """Keep the event loop from turning until threads have come so far."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("owned", [False, True])
async def test_a_straggler_does_not_write_into_somebody_else_s_answer(owned: bool) -> None:
    """It ends after a batch of the other lane has, and before the loop takes that one's answer."""
    go = {value: threading.Event() for value in (LOST, STRAGGLER, NEIGHBOUR, LATER)}

    def function(x: Array) -> Array:
        value = float(x[0, 0])
        go[value].wait(PATIENCE)
        if value == LOST:
            raise DeviceLost("gone")
        return np.full_like(x, 10 * value)

    backend = ScriptedBackend(function, asynchronous=True, depth=2, owned_slots=owned)
    async with open_engine(backend, streams=2, max_batch_size=1, loop_budget=0.0) as engine:
        try:
            async with anyio.create_task_group() as tasks:
                lost = await submit(tasks, engine, row(LOST))
                await until(lambda: engine.statistics().streams[0].running == 1)
                neighbour = await submit(tasks, engine, row(NEIGHBOUR))
                await until(lambda: engine.statistics().streams[1].running == 1)
                straggler = await submit(tasks, engine, row(STRAGGLER))
                await until(lambda: engine.statistics().streams[0].running == 2)
                go[LOST].set()
                await until(lambda: lost.done and straggler.done)
                later = await submit(tasks, engine, row(LATER))
                await until(lambda: engine.statistics().streams[1].running == 2)
                notes = engine._core.pump._notes
                go[NEIGHBOUR].set()
                go[LATER].set()
                block_until(lambda: len(notes) == 2)
                go[STRAGGLER].set()
                block_until(lambda: len(notes) == 3)
        finally:
            for event in go.values():
                event.set()
        assert isinstance(lost.error, DeviceLost)
        assert isinstance(straggler.error, DeviceLost)
        assert same(neighbour.answer, row(10 * NEIGHBOUR))
        assert same(later.answer, row(10 * LATER))


async def test_a_lane_lost_while_a_batch_is_run_again_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = ScriptedBackend()

    def spoil(values: Array) -> bool:
        backend.lose = True  # from the next run on
        return True

    async with opened(backend) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            backend.bad = lambda values: bool(values[0] > 0) and spoil(values)
            callers = await submit_all(tasks, engine, [1, 2, 3])
            backend.gate.let()
        assert [type(caller.error) for caller in callers] == [DeviceLost] * 3
        with pytest.raises(DeviceLost, match="the script says that the device is lost"):
            await engine.infer(row(1))
        assert "None" not in caplog.text
        check_at_rest(engine)
