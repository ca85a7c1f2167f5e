"""Replicas that die, hang, come and go, under load: `make nightly-ray`, a few minutes."""

import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal
from ray import serve
from ray.exceptions import RayActorError

from support.helpers import row
from tests.ray.conftest import Run
from tests.ray.models import doubling, scripted
from trtasync import DeviceLost
from trtasync.integrations.ray_serve import Client, deployment

CALLERS = 16


@dataclass
class Load:
    """What callers got who asked again and again; when, by the clock of this process."""

    answers: list[float] = field(default_factory=list)
    errors: list[tuple[float, str]] = field(default_factory=list)


@asynccontextmanager
async def load(handle: Any) -> AsyncIterator[Load]:
    """Callers who ask for as long as the block lasts."""
    told, client, ends = Load(), Client(handle), False

    async def caller() -> None:
        while not ends:
            try:
                await client.infer(row(1))
                told.answers.append(time.monotonic())
            except Exception as error:  # all of them are counted
                told.errors.append((time.monotonic(), repr(error)))

    async with anyio.create_task_group() as tasks:
        for _ in range(CALLERS):
            tasks.start_soon(caller)
        yield told
        ends = True


async def come_about(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until this returns something true, and return it."""
    patience = time.monotonic() + seconds
    while not (found := await anyio.to_thread.run_sync(holds)):
        assert time.monotonic() < patience
        await anyio.sleep(0.05)
    return found


async def answered(told: Load, count: int) -> None:
    """Until there are so many answers more."""
    wanted = len(told.answers) + count
    await come_about(lambda: len(told.answers) >= wanted)


async def pids(handle: Any, count: int) -> set[int]:
    """The processes of the replicas, once there are so many."""
    found: set[int] = set()
    patience = time.monotonic() + 60.0
    while len(found) < count:
        assert time.monotonic() < patience
        with suppress(RayActorError):
            found.add(await handle.pid.remote())
    return found


async def replicas(handle: Any, count: int) -> None:
    """Until Ray counts so many as running."""

    def are_so_many() -> bool:
        (told,) = serve.status().applications[handle.app_name].deployments.values()
        return bool(told.replica_states.get("RUNNING", 0) == count)

    await come_about(are_so_many)


async def settled(handle: Any) -> None:
    """Until Ray has done what it was told of the application last."""
    await come_about(lambda: serve.status().applications[handle.app_name].status == "RUNNING")


def test_a_killed_replica_is_missed_for_a_moment(run: Run, portal: BlockingPortal) -> None:
    handle = run(scripted(), num_replicas=2)

    async def kill() -> tuple[Load, float, float]:
        both = await pids(handle, 2)
        async with load(handle) as told:
            await answered(told, 200)
            killed = time.monotonic()
            os.kill(both.pop(), signal.SIGKILL)
            await replicas(handle, 1)
            await replicas(handle, 2)
            again = time.monotonic()
            await answered(told, 200)
        return told, killed, again

    told, killed, again = portal.call(kill)
    assert all(at <= killed + 1.0 for at, _ in told.errors), told.errors
    assert again <= killed + 10.0


def test_replicas_come_and_go_without_an_error(run: Run, portal: BlockingPortal) -> None:
    handle = run(scripted())

    async def change() -> Load:
        async with load(handle) as told:
            for count in (2, 1):
                await answered(told, 100)
                await anyio.to_thread.run_sync(partial(run, scripted(), num_replicas=count))
                await replicas(handle, count)
            # other options of the engine: its replica is replaced, and answers until then
            changed = partial(run, scripted(max_batch_size=4), max_surge_percent=100)
            await anyio.to_thread.run_sync(changed)
            await settled(handle)
            await answered(told, 100)
        return told

    assert portal.call(change).errors == []


@pytest.mark.parametrize("fault", ["wedge", "lose"])
def test_a_hanging_loop_and_a_dead_stream_are_replaced(
    run: Run, portal: BlockingPortal, fault: str
) -> None:
    handle = run(scripted())

    async def replace() -> float:
        (before,) = await pids(handle, 1)
        began = time.monotonic()
        getattr(handle, fault).remote()
        if fault == "lose":
            with pytest.raises(DeviceLost):
                await Client(handle).infer(row(1))
        answers: set[int] = set()

        async def ask() -> None:
            answers.update(await pids(handle, 1))

        async with anyio.create_task_group() as tasks:
            while not answers - {before}:
                tasks.start_soon(ask)  # what hangs does not answer
                await anyio.sleep(0.2)
            seconds = time.monotonic() - began
            tasks.cancel_scope.cancel()
        return seconds

    assert portal.call(replace) <= 10.0


def test_as_many_replicas_as_the_load_takes(run: Run, portal: BlockingPortal) -> None:
    slow = deployment(doubling(0.5), name="slow", num_gpus=0, num_replicas=(1, 2), max_batch_size=2)
    settings = slow._deployment_config.autoscaling_config.model_dump()
    settings |= {"upscale_delay_s": 1.0, "downscale_delay_s": 1.0, "look_back_period_s": 2.0}
    handle = run(slow, autoscaling_config=settings)

    async def busy_and_idle() -> Load:
        async with load(handle) as told:
            await replicas(handle, 2)
        await replicas(handle, 1)
        return told

    assert portal.call(busy_and_idle).errors == []
