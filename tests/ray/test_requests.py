"""What callers get by a handle, in whatever mode Ray passes requests on."""

import asyncio
import gc
import os
import time
from typing import Any, ClassVar
from weakref import WeakSet

import anyio
import pytest
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from ray import serve
from ray.serve.exceptions import BackPressureError

from support.helpers import row, same
from tests.ray.conftest import Run
from tests.ray.models import Scripted, doubling, scripted
from tests.ray.watching import held, reached
from trtasync import EngineClosed, InferenceError, InvalidInput, QueueFull, Statistics
from trtasync.integrations.ray_serve import Client, deployment

BATCH_SECONDS = 0.3


def test_of_late_callers_only_few_rows_are_computed(run: Run, portal: BlockingPortal) -> None:
    handle = run(deployment(doubling(BATCH_SECONDS), name="slow", num_gpus=0))
    client = Client(handle)
    outcomes: list[object] = []

    async def caller() -> None:
        try:
            with anyio.fail_after(0.75):
                outcomes.append(await client.infer(row(1)))
        except TimeoutError as error:
            outcomes.append(error)

    async def callers(count: int) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(caller)

    async def load() -> int:
        await client.infer(row(1))  # the engine learns how long a batch takes
        before: Statistics = await handle.statistics.remote()
        await callers(64)
        after = await reached(handle, lambda counts: counts.queued + counts.in_flight == 0)
        return after.rows - before.rows

    rows = portal.call(load)
    answers = [each for each in outcomes if not isinstance(each, TimeoutError)]
    assert len(outcomes) == 64
    assert all(same(each, row(2)) for each in answers)
    assert len(answers) <= rows <= 16


def test_cancelled_requests_leave_the_queue_and_are_counted(
    double: Any, portal: BlockingPortal
) -> None:
    client = Client(double)

    async def load() -> tuple[Statistics, Statistics]:
        before: Statistics = await double.statistics.remote()
        async with anyio.create_task_group() as kept, held(double):
            kept.start_soon(client.infer, row(1))
            await reached(double, lambda counts: counts.in_flight == 1)
            async with anyio.create_task_group() as dropped:
                for _ in range(20):
                    dropped.start_soon(client.infer, row(2))
                await reached(double, lambda counts: counts.queued == 20)
                dropped.cancel_scope.cancel()
            await reached(double, lambda counts: counts.cancelled - before.cancelled == 20)
        return before, await double.statistics.remote()

    before, after = portal.call(load)
    assert after.queued == 0
    assert after.rows - before.rows == 1


def test_tasks_of_asyncio_are_cancelled_as_well(double: Any, portal: BlockingPortal) -> None:
    client = Client(double)

    async def load() -> list[Any]:
        before: Statistics = await double.statistics.remote()
        async with held(double):
            first = asyncio.create_task(client.infer(row(1)))
            await reached(double, lambda counts: counts.in_flight == 1)
            tasks = [asyncio.create_task(client.infer(row(2))) for _ in range(5)]
            await reached(double, lambda counts: counts.queued == 5)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            await reached(double, lambda counts: counts.cancelled - before.cancelled == 5)
        assert same(await first, row(2))
        return ends

    assert [type(each) for each in portal.call(load)] == 5 * [asyncio.CancelledError]


def test_errors_are_those_of_an_engine(double: Any, portal: BlockingPortal) -> None:
    client = Client(double)
    with pytest.raises(InvalidInput, match="must be 4, not 5") as refused:
        portal.call(client.infer, row(1, width=5))
    assert type(refused.value) is InvalidInput
    assert (refused.value.expected, refused.value.got) == (4, 5)
    with pytest.raises(InferenceError, match="bad") as failed:
        portal.call(client.infer, row(-1))
    assert type(failed.value) is InferenceError
    assert same(portal.call(client.infer, row(3)), row(6))


def test_a_full_queue_is_told_at_once_and_in_rays_terms(run: Run, portal: BlockingPortal) -> None:
    handle = run(scripted(max_queue_size=2, max_batch_size=1, streams=1))
    client = Client(handle)
    refused: list[QueueFull] = []

    async def ask() -> None:
        try:
            await client.infer(row(1))
        except QueueFull as error:
            refused.append(error)

    async def load() -> None:
        async with anyio.create_task_group() as tasks, held(handle):
            tasks.start_soon(ask)
            await reached(handle, lambda counts: counts.in_flight == 1)
            for _ in range(3):
                tasks.start_soon(ask)
            await reached(handle, lambda counts: counts.rejected == 1)

    portal.call(load)
    (error,) = refused
    assert isinstance(error, BackPressureError)
    assert (error.limit, error.status_code) == (2, 429)


def test_a_subclass_prepares_and_finishes(run: Run, portal: BlockingPortal) -> None:
    client = Client(run(deployment(doubling(), replica=Summing, name="sums", num_gpus=0)))
    assert portal.call(client.infer, [1, 2, 3, 4]) == 20.0
    with pytest.raises(InferenceError, match="Unsendable: no numbers"):
        portal.call(client.infer, [])
    with pytest.raises(EngineClosed, match="Ray cancelled"):
        portal.call(client.infer, None)


@pytest.mark.skipif(
    os.environ.get("RAY_SERVE_THROUGHPUT_OPTIMIZED") == "1",
    reason="Ray's local mode does not work in its throughput mode",
)
def test_without_a_cluster(portal: BlockingPortal) -> None:
    """Ray's local mode, for tests of users."""
    bound = deployment(doubling(BATCH_SECONDS), name="local", num_gpus=0).bind()
    client = Client(serve.run(bound, _local_testing_mode=True))

    async def late() -> Any:
        with anyio.fail_after(0.1):
            await client.infer(row(1))

    assert same(portal.call(client.infer, row(1)), row(2))
    with pytest.raises(InvalidInput):
        portal.call(client.infer, row(1, width=5))
    with pytest.raises(TimeoutError):
        portal.call(late)


class Unsendable(Exception):
    """What pickle cannot make again."""

    def __init__(self, text: str, status: int):
        """With more than its message."""
        super().__init__(text)
        self.status = status


class Summing(Scripted):
    """Takes numbers and gives their doubled sum."""

    async def infer(self, inputs: Any, **options: Any) -> float:
        """See `Replica.infer`."""
        if inputs is None:
            raise asyncio.CancelledError
        if not inputs:
            raise Unsendable("no numbers", 400)
        x = row(0)
        x[:] = inputs
        return float((await super().infer(x, **options)).sum())


class Late:
    """A response that came, or failed to come, while the loop did something else."""

    def __init__(self, seconds: float):
        """For so long."""
        self._seconds = seconds
        self.cancelled = False

    def remote(self, *_: Any, **__: Any) -> "Late":
        """Stand for the method of a handle, too."""
        return self

    def options(self, **_: Any) -> "Late":
        """Likewise."""
        return self

    def cancel(self) -> None:
        """As Ray's."""
        self.cancelled = True

    def __await__(self) -> Any:
        time.sleep(self._seconds)
        raise TimeoutError
        yield


def test_a_replica_that_is_punctual_does_not_forestall_the_callers_scope(
    portal: BlockingPortal,
) -> None:
    async def late(patience: float) -> bool:
        with anyio.move_on_after(patience) as scope:
            await Client(Late(0.1)).infer(row(1))
        return scope.cancelled_caught

    assert portal.call(late, 0.05)
    with pytest.raises(TimeoutError):  # of something else
        portal.call(late, 60.0)


class Told:
    """A handle that answers with what it was told."""

    def options(self, **_: Any) -> "Told":
        """As Ray's."""
        return self

    async def remote(self, *arguments: Any, **named: Any) -> tuple[int, dict[str, Any]]:
        """How many arguments had no name, and those that had."""
        return len(arguments), named


def test_nothing_is_sent_along_that_a_replica_takes_for_granted(portal: BlockingPortal) -> None:
    async def ask() -> tuple[Any, Any]:
        client = Client(Told())
        plain = await client.infer(row(1))
        with anyio.fail_after(60.0):
            return plain, await client.infer(row(1), priority=2)

    plain, (arguments, named) = portal.call(ask)
    assert plain == (1, {})
    assert arguments == 1
    assert named["priority"] == 2
    assert 0.0 < named["deadline"].left() <= 60.0


class Echo:
    """A handle that answers with the model that it is asked for, and counts itself."""

    alive: ClassVar[WeakSet["Echo"]] = WeakSet()

    def __init__(self, model: str = ""):
        """For one model."""
        self.model = model
        self.alive.add(self)

    def options(self, *, multiplexed_model_id: str = "", **_: Any) -> "Echo":
        """Another one, as Ray's."""
        return Echo(multiplexed_model_id)

    async def remote(self, *_: Any, **__: Any) -> str:
        """The answer."""
        return self.model


def test_a_client_keeps_nothing_of_the_models_that_it_asks_for(portal: BlockingPortal) -> None:
    async def ask(count: int) -> int:
        client = Client(Echo())
        for model in ["", *map(str, range(count))]:
            assert await client.infer(row(1), model=model) == model
        gc.collect()
        return len(Echo.alive)

    assert portal.call(ask, 100) == portal.call(ask, 1)


class Chain:
    """Answers by two deployments."""

    def __init__(self, first: Any, second: Any):
        """By their handles."""
        self._first, self._second = Client(first), Client(second)

    async def infer(self, inputs: Any) -> Any:
        """What both make of it."""
        return await self._second.infer(await self._first.infer(inputs))


def test_several_deployments_make_an_application(run: Run, portal: BlockingPortal) -> None:
    first, second = (
        deployment(doubling(), name=name, num_gpus=0, http=False)
        .options(graceful_shutdown_wait_loop_s=0.1)
        .bind()
        for name in "ab"
    )
    web = serve.ingress(FastAPI())(Chain)
    handle = run(serve.deployment(web), first, second)

    async def ask() -> Any:
        return await handle.infer.remote(row(1))

    assert same(portal.call(ask), row(4))
