"""Several models to a replica: an engine in use is never closed under a request."""

import asyncio
import gc
import time
import warnings
from contextlib import suppress
from typing import Any

import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal

from support.helpers import row, same, until
from tests.ray.conftest import Run
from tests.ray.models import doubling
from trtasync import Engine, InvalidInput, open_engine
from trtasync.integrations.ray_serve import Client, ManyModels, multiplexed
from trtasync.integrations.ray_serve.deadlines import Deadline
from trtasync.integrations.ray_serve.many import Leased
from trtasync.integrations.ray_serve.progress import Progress

EVICTIONS = 500
"""In each of Ray's modes: a thousand in all."""


class Churning(ManyModels):
    """Remembers the engines that it opened."""

    def __init__(self) -> None:
        """None yet."""
        super().__init__()
        self.opened: list[Engine] = []

    async def open(self, model: str) -> Engine:
        """See `ManyModels.open`."""
        engine = await super().open(model)
        self.opened.append(engine)
        return engine

    async def churn(self, times: int) -> tuple[list[str], int]:
        """Ask two models by turns where only one may be open; (errors, engines opened)."""
        errors: list[str] = []

        async def ask(model: str) -> None:
            try:
                await self.infer_on(model, row(1))
            except Exception as error:  # all of them are counted
                errors.append(repr(error))

        while len(self.opened) < times:
            async with anyio.create_task_group() as tasks:
                for model in ("a", "b", "a"):
                    tasks.start_soon(ask, model)
        return errors, len(self.opened)

    async def still_open(self) -> int:
        """Engines that are not closed, once none is being closed any more."""
        await until(lambda: all(leased.closing is None for leased in self.leased))
        await self.check_health()
        return sum("closed" not in repr(engine) for engine in self.opened)


def several(**options: Any) -> Any:
    """A deployment of the models "a" and "b", of which one is open at a time."""
    models = {"a": doubling(), "b": doubling()}
    return multiplexed(models, most=1, num_gpus=0, replica=Churning, **options)


def test_models_are_asked_by_their_ids(run: Run, portal: BlockingPortal) -> None:
    client = Client(run(several()))

    async def ask(model: str) -> Any:
        return await client.infer(row(1), model=model)

    assert same(portal.call(ask, "a"), row(2))
    assert same(portal.call(ask, "b"), row(2))
    with pytest.raises(InvalidInput, match="name one"):
        portal.call(ask, "")


def test_engines_evicted_while_in_use_are_closed_in_the_end(
    run: Run, portal: BlockingPortal
) -> None:
    handle = run(several())

    async def churn() -> Any:
        return await handle.churn.remote(EVICTIONS), await handle.still_open.remote()

    (errors, opened), still_open = portal.call(churn)
    assert errors == []
    assert opened >= EVICTIONS
    assert still_open == 1


def test_an_eviction_that_is_given_up_is_ended_all_the_same(portal: BlockingPortal) -> None:
    """The request that opens another model waits for it, and may be cancelled."""

    async def evict() -> str:
        engine = await open_engine(doubling(), name="a")
        kept: set[Leased] = set()
        leased = Leased(engine, Progress(engine, 30.0), kept)
        with leased.users:
            evicting = asyncio.create_task(leased.evict())
            await until(lambda: leased.closing is not None)
            evicting.cancel()
            with suppress(asyncio.CancelledError):
                await evicting
            assert same(await engine.infer(row(1)), row(2))
        await until(lambda: not kept)
        return repr(engine)

    assert "closed" in portal.call(evict)


class Doubling(ManyModels):
    """Remembers the models that it was to open."""

    stalled_after = 30.0

    def __init__(self) -> None:
        """None yet."""
        super().__init__()
        self.asked: list[str] = []

    async def open(self, model: str) -> Engine:
        """See `ManyModels.open`."""
        self.asked.append(model)
        return await open_engine(doubling(), name=model)


def test_an_opening_waits_for_an_eviction_that_another_request_gave_up(
    portal: BlockingPortal,
) -> None:
    async def evict() -> tuple[list[str], str]:
        many = Doubling()
        leased = await many.load("a")
        with leased.users:
            evicting = asyncio.create_task(leased.evict())
            await until(lambda: leased.closing is not None)
            evicting.cancel()
            opening = asyncio.create_task(many.load("b"))
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            asked = list(many.asked)
        other = await opening
        closed = repr(leased.engine)
        await other.evict()
        return asked, closed

    asked, closed = portal.call(evict)
    assert asked == ["a"]
    assert "closed" in closed


def test_a_replica_that_ends_waits_for_evictions(portal: BlockingPortal) -> None:
    async def end() -> tuple[bool, str]:
        many = Doubling()
        leased = await many.load("a")
        with leased.users:
            evicting = asyncio.create_task(leased.evict())
            await until(lambda: leased.closing is not None)
            ending = asyncio.ensure_future(vars(many)["__del__"]())  # where Ray finds it
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            early = ending.done()
        await ending
        closed = repr(leased.engine)
        await evicting
        return early, closed

    early, closed = portal.call(end)
    assert not early
    assert "closed" in closed


def test_what_the_interpreter_frees_is_not_ended_by_it() -> None:
    """Ray awaits `__del__`; the interpreter would call it, and await nothing."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        Doubling()
        gc.collect()
    assert [str(each.message) for each in told if "__del__" in str(each.message)] == []


def test_a_subclass_that_the_interpreter_would_end_is_refused() -> None:
    class Deleting(ManyModels):
        async def __del__(self) -> None:
            """As Ray has it."""

    with pytest.raises(InvalidInput, match="Deleting has `__del__`; close things in `aclose`"):
        multiplexed({}, num_gpus=0, replica=Deleting)


def test_a_deadline_holds_while_a_model_is_opened(portal: BlockingPortal) -> None:
    class Never(ManyModels):
        async def load(self, model: str) -> Leased:
            await anyio.sleep_forever()
            raise AssertionError

    async def ask() -> None:
        with anyio.fail_after(20):
            deadline = Deadline(time.monotonic() + 0.01)
            with pytest.raises(TimeoutError):
                await Never().infer_on("a", row(1), deadline=deadline)

    portal.call(ask)


def test_a_model_that_there_is_not_makes_no_other_one_go(portal: BlockingPortal) -> None:
    many = several().func_or_class()

    with pytest.raises(InvalidInput, match="there is no model 'c'"):
        portal.call(many.infer_on, "c", row(1))
