"""A ContextVar that a caller sets is seen by nobody else's request, nor by the engine."""

import contextvars
from typing import Any

import anyio
import pytest

from support.helpers import Array, ended, row, start
from trtasync import open_engine
from trtasync.engine import watch
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

USER: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("options", [{"loop_budget": 0.0}, {"loop_budget": 10.0}])
async def test_the_model_sees_nobody_s_variables(
    options: dict[str, Any], asynchronous: bool
) -> None:
    seen: list[str] = []

    def look(x: Array) -> Array:
        seen.append(USER.get())
        return x

    async def caller(name: str) -> None:
        USER.set(name)
        for _ in range(5):
            await engine.infer(row(1))
        with await engine.infer(row(1), copy=False):
            assert USER.get() == name

    backend = ScriptedBackend(look, asynchronous=asynchronous)
    token = USER.set("opener")
    async with open_engine(backend, **options) as engine, anyio.create_task_group() as tasks:
        for index in range(4):
            tasks.start_soon(caller, f"user {index}")
    USER.reset(token)
    assert set(seen) == {"nobody"}


async def test_a_watcher_and_an_alarm_see_nobody_s_variables() -> None:
    seen: list[str] = []
    async with open_engine(ScriptedBackend(), max_queue_delay=0.005) as engine:
        watch(engine, lambda record: seen.append(USER.get()))
        USER.set("a caller")
        async with anyio.create_task_group() as tasks:
            for _ in range(3):  # from the second on they run on the loop, when an alarm rings
                await ended(start(tasks, engine, row(1)))
    assert seen == ["nobody"] * 3
