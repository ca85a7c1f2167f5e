"""Callers with deadlines through the engine: a batch too large for them is made smaller."""

import time

import anyio
import pytest

from support.helpers import PATIENCE, Array, check_at_rest, row, tensor, until
from trtasync import Engine, open_engine
from trtasync.testing import FunctionBackend

pytestmark = pytest.mark.anyio

FIRST, EACH = 0.01, 0.04
"""Seconds of a batch, and of each of its rows: 0.33 for eight rows, 0.17 for four."""
OF_A_CALLER = 0.3
"""Seconds, and then it asks again."""


def model(x: Array) -> Array:
    time.sleep(FIRST + EACH * len(x))  # the model's work, not a way to order things
    return x.copy()


async def test_eight_callers_for_whom_a_batch_of_eight_is_too_late() -> None:
    backend = FunctionBackend(model, inputs=[tensor("x", "N", 4)], outputs=[tensor("y", "N", 4)])
    answers, enough = [0], anyio.Event()

    async def ask(engine: Engine) -> None:
        while True:
            with anyio.move_on_after(OF_A_CALLER):
                await engine.infer(row(1))
                answers[0] += 1
                if answers[0] == 24:
                    enough.set()

    async with open_engine(backend, max_batch_size=8) as engine:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(ask, engine)
            with anyio.fail_after(PATIENCE):  # not `until`: its turns bring callers apart
                await enough.wait()
            tasks.cancel_scope.cancel()
        await until(lambda: engine.statistics().in_flight == 0)
        check_at_rest(engine)
