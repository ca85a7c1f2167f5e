"""Connections that break again and again under load: every answer is right, and nothing is left."""

import gc
import os
import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.helpers import Array, row, rows, same, tensor, until
from tests.shared.joined import Joined, joined
from trtasync import DeviceLost, EngineRestarting, connect
from trtasync.shared.client import SharedEngine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

CUTS = 60

FEW = 10
"""Files and maps more than at first: each session may need other sizes of slots."""

LONG = 30_000
"""Numbers of a row that is not copied: 120 KB."""


def as_they_are() -> ScriptedBackend:
    """Rows of any length."""
    return ScriptedBackend(
        inputs=[tensor("x", "N", "T")], outputs=[tensor("y", "N", "T")], slots_per_lane=4
    )


class Load:
    """Callers who ask in all ways until they are told to stop.

    Attributes:
        answered: right answers so far.
        lost: requests that their host left unanswered.
    """

    def __init__(self, engine: SharedEngine, seed: int):
        self.engine = engine
        self.chance = random.Random(seed)
        self.answered = 0
        self.lost = 0
        self.stopping = False

    async def caller(self) -> None:
        while not self.stopping:
            try:
                with anyio.move_on_after(self.chance.choice([0.0005, 60, 60])):
                    await self._ask(self.chance.randrange(1000))
                    self.answered += 1
            except (DeviceLost, EngineRestarting):
                self.lost += 1

    async def _ask(self, value: int) -> None:
        engine, way = self.engine, self.chance.randrange(4)
        if way == 0:
            assert same(await engine.infer(row(value)), row(value))
        elif way == 1:
            several = rows([value, value + 1])
            assert same((await engine.infer({"x": several}))["y"], several)
        elif way == 2:
            with await engine.infer(row(value), copy=False) as lent:
                assert same(lent, row(value))
        else:
            array: Array = engine.empty_input(shape=(LONG,))
            array[...] = value
            answer = await engine.infer(array)
            assert (answer == value).all()


def maps() -> int:
    """Of shared memory, in this process."""
    return Path("/proc/self/maps").read_text().count("memfd:trtasync")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def at_rest(shared: Joined, engines: list[SharedEngine]) -> None:
    """Everybody has a host again, and nothing is under way."""
    for engine in engines:
        await until(lambda engine=engine: engine._link.session.is_open)  # type: ignore[misc]  # early
        await engine.infer(row(1))
    in_use = [engine._link.session.credit.in_use for engine in engines]
    await until(lambda: not any(count() for count in in_use))
    gc.collect()


@pytest.mark.parametrize("seed", range(2))
async def test_cut_off_again_and_again(seed: int, anyio_backend: Any) -> None:
    chance = random.Random(seed)
    async with (
        joined(as_they_are(), reconnect=60, max_batch_size=4) as shared,
        connect(shared.host.path, reconnect=60) as other,
    ):
        assert isinstance(other, SharedEngine)
        engines = [shared.engine, other]
        loads = [Load(engine, seed) for engine in engines]
        await at_rest(shared, engines)
        before = descriptors(), maps()
        async with anyio.create_task_group() as tasks:
            for load in loads:
                for _ in range(8):
                    tasks.start_soon(load.caller)
            for _ in range(CUTS):
                asked = sum(load.answered for load in loads) + chance.randrange(1, 30)
                await until(lambda: sum(load.answered for load in loads) >= asked)  # noqa: B023 - awaited here
                shared.host.cut()
                for engine in engines:
                    engine._link._delay = 0.0  # a host that ran well
            for load in loads:
                load.stopping = True
        assert all(load.lost for load in loads)
        await at_rest(shared, engines)
        await until(lambda: len(shared.host.sessions) == 2)
        after = descriptors(), maps()
        assert all(now <= then + FEW for now, then in zip(after, before, strict=True))
    gc.collect()
    assert maps() == 0
