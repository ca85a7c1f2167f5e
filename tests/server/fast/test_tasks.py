"""Engines that are not of this process, such as shared ones: a task asks them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import Array, rows, tensor, until
from tests.server.fast.clients import Running, infer, running
from tests.server.serving import filled, held
from trtasync import Engine, Statistics, TensorSpec, open_engine
from trtasync.server.fast import desk
from trtasync.server.models import Models
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

X = rows([1, 2])


class Elsewhere:
    """An engine behind something else, of which only what is promised of all of them is known.

    Attributes:
        given: memory for requests.
        asked: what requests were made of.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self.given: list[Array] = []
        self.asked: list[Any] = []

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Those of the engine, as all else here."""
        return self._engine.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._engine.outputs

    async def infer(self, inputs: Any, *, priority: int = 0) -> Any:
        self.asked.append(inputs)
        return await self._engine.infer(inputs, priority=priority)

    def empty_input(
        self,
        rows: int | None = None,
        *,
        name: str | None = None,
        shape: Sequence[int] | None = None,
    ) -> Array:
        array = self._engine.empty_input(rows, name=name, shape=shape)
        self.given.append(array)
        return array

    def statistics(self) -> Statistics:
        return self._engine.statistics()

    async def aclose(self) -> None:
        await self._engine.aclose()


@asynccontextmanager
async def served(backend: ScriptedBackend) -> AsyncIterator[Running]:
    """Such an engine behind the fast door, and no application."""

    async def opened() -> Any:
        return Elsewhere(await open_engine(backend, loop_budget=0.0))

    async def no_application(scope: object, receive: object, send: object) -> None:
        raise AssertionError("this is the application's")

    models = Models()
    models.add("m", opened)
    async with running(models, no_application) as server:
        yield server


def doubling(outputs: int = 1) -> ScriptedBackend:
    """A model of rows of any width."""
    names = ["y", "z"][:outputs]
    return ScriptedBackend(
        lambda x: [2 * x] * outputs,
        inputs=[tensor("x", "N", "W")],
        outputs=[tensor(name, "N", "W") for name in names],
    )


@pytest.mark.parametrize("outputs", [1, 2])
async def test_rows_of_any_number_and_size(outputs: int) -> None:
    async with served(doubling(outputs)) as server, server.client() as client:
        for x in (X[:1], X, np.ones((1, 50_000), np.float32), np.ones((2, 50_000), np.float32)):
            np.testing.assert_array_equal((await client.ask(infer(x))).y, 2 * x)


@pytest.mark.parametrize("rows", [1, 2])
async def test_a_large_tensor_is_received_where_the_engine_wants_it(rows: int) -> None:
    x = np.random.default_rng(0).random((rows, 100_000), np.float32)
    async with served(doubling()) as server, server.client() as client:
        engine: Any = server.models.deployed("m").engine
        np.testing.assert_array_equal((await client.ask(infer(x))).y, 2 * x)
        (memory,) = engine.given
        assert engine.asked[0] is memory
        too_wide = infer(x).replace(b'"FP32"', b'"FP16"')
        assert (await client.ask(too_wide)).status == 400
        await client.send(infer(x)[:300_000])
        await server.begun()
        server.pass_time(2)  # who is slow leaves it to others
        await client.send(infer(x)[300_000:])
        np.testing.assert_array_equal((await client.answer()).y, 2 * x)
        assert engine.asked[1] is not engine.given[1]


async def test_half_sent_bodies_hold_only_so_much_of_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That is shared with the engine's process: what comes beyond is copied into it later."""
    monkeypatch.setattr(desk, "MOST_HELD", 1_000_000)
    x = np.random.default_rng(0).random((1, 100_000), np.float32)
    async with served(doubling()) as server, server.client() as slow, server.client() as other:
        engine: Any = server.models.deployed("m").engine
        await slow.send(infer(np.ones((1, 200_000), np.float32))[:1000])
        await server.begun()
        assert len(engine.given) == 1
        np.testing.assert_array_equal((await other.ask(infer(x))).y, 2 * x)
        assert len(engine.given) == 1
        server.pass_time(2)
        np.testing.assert_array_equal((await other.ask(infer(x))).y, 2 * x)
        assert len(engine.given) == 2


async def test_errors() -> None:
    backend = doubling()
    backend.bad = lambda row: row[0] == 9
    async with served(backend) as server, server.client() as client:
        for sent, status in (
            (infer(rows([9])), 500),
            (infer(X[:0]), 400),
            (infer(X, parameters={"priority": 10}), 400),
        ):
            answer = await client.ask(sent)
            assert (answer.status, bool(answer.error)) == (status, True)
        np.testing.assert_array_equal((await client.ask(infer(X))).y, 2 * X)


async def test_an_engine_that_is_replaced_is_not_closed_before_it_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the task of a request that has come."""
    async with served(doubling()) as server, server.client() as client:
        deployment = server.models.deployed("m")
        began, ask = anyio.Event(), deployment.engine.infer

        async def late(inputs: Any, *, priority: int = 0) -> Any:
            began.set()
            await until(lambda: server.models.deployed("m") is not deployment)
            await anyio.wait_all_tasks_blocked()
            return await ask(inputs, priority=priority)

        monkeypatch.setattr(deployment.engine, "infer", late)  # as if it were far away
        await client.send(infer(X))
        await began.wait()
        await server.models.find("m").load()
        np.testing.assert_array_equal((await client.answer()).y, 2 * X)


async def test_a_timeout() -> None:
    backend = doubling()
    async with served(backend) as server, server.client() as client:
        engine = server.models.deployed("m").engine
        with held(backend):
            await client.send(infer(X, parameters={"timeout": 100_000_000}))
            await filled(engine, queued=0, in_flight=2)
            server.time_out()
            assert (await client.answer()).status == 504
            await until(lambda: engine.statistics().cancelled == 1)
            # by itself, be it before its task has asked
            late = await client.ask(infer(X, parameters={"timeout": 20_000}))
        assert (late.status, "timeout" in late.error) == (504, True)
        answer = await client.ask(infer(3 * X, parameters={"timeout": 100_000_000}))
        np.testing.assert_array_equal(answer.y, 6 * X)


async def test_who_leaves_takes_the_request_along() -> None:
    backend = doubling()
    async with served(backend) as server:
        engine = server.models.deployed("m").engine
        with held(backend):
            async with server.client() as first, server.client() as second:
                await first.send(infer(rows([1])))
                await filled(engine, queued=0)
                await second.send(infer(rows([7])))
                await filled(engine, queued=1)
            await until(lambda: engine.statistics().cancelled == 2)
    assert 7 not in [computed[0, 0] for computed in backend.computed]
