"""Requests that the fast door answers itself."""

import json
from contextlib import AsyncExitStack

import anyio
import numpy as np
import pytest

from support.helpers import rows, tensor, until
from tests.server.fast.clients import infer, request, running
from tests.server.messages import binary, body, given
from tests.server.serving import filled, held, models_of
from trtasync.server.fast import Limits
from trtasync.server.protocol.answers import JSON_LENGTH
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

X = rows([1, 2])
LARGE = np.random.default_rng(0).random((1, 50_000), np.float32)
"""Comes in several pieces, and so is received into the rows of a batch."""


def doubling(width: int | str = 4) -> ScriptedBackend:
    """A model of rows of this width."""
    return ScriptedBackend(
        lambda x: 2 * x, inputs=[tensor("x", "N", width)], outputs=[tensor("y", "N", width)]
    )


async def test_one_row_and_several_in_binary_and_json() -> None:
    async with running(models_of(doubling())) as server, server.client() as client:
        for x in (X[:1], X, X[:1]):
            np.testing.assert_array_equal((await client.ask(infer(x))).y, 2 * x)
        asked = {"inputs": [given("x", [2, 4], "FP32", data=X.tolist())], "id": "a"}
        answer = await client.ask(
            request("POST", "/v2/models/m/versions/1/infer", json.dumps(asked).encode())
        )
        np.testing.assert_array_equal(answer.y, 2 * X)
        assert answer.headers["content-type"] == "application/json"
        assert json.loads(answer.body)["id"] == "a"
        answer = await client.ask(
            request("POST", "/v2/models/m/infer", X[:1].tobytes(), f"{JSON_LENGTH}: 0")
        )
        np.testing.assert_array_equal(answer.y, 2 * X[:1])
        engine = server.models.deployed("m").engine
        assert engine.statistics().answered == 5


async def test_it_needs_no_task_for_a_request() -> None:
    async def no_application(scope: object, receive: object, send: object) -> None:
        raise AssertionError("this is the application's")

    models = models_of(doubling())
    async with running(models, no_application) as server, server.client() as client:
        assert (await client.ask(infer(X))).status == 200


@pytest.mark.parametrize("shape", [(1, 50_000), (3, 50_000), (1, 3_000_000)])
async def test_a_large_tensor(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(1).random(shape, np.float32)
    async with running(models_of(doubling("W"))) as server, server.client() as client:
        for _ in range(2):
            np.testing.assert_array_equal((await client.ask(infer(x))).y, 2 * x)


@pytest.mark.parametrize("cut", [10, 300, 70_000, 150_000])
async def test_a_tensor_in_pieces(cut: int) -> None:
    """The cut is in the head, in the JSON, and in the tensor."""
    content = infer(LARGE)
    async with running(models_of(doubling("W"))) as server, server.client() as client:
        for _ in range(2):
            await client.send(content[:cut])
            await client.send(content[cut:])
            np.testing.assert_array_equal((await client.answer()).y, 2 * LARGE)


async def test_a_batch_goes_without_a_tensor_that_is_not_all_there() -> None:
    """What came of it moves, and is part of a later batch."""
    backend, content = doubling(50_000), infer(LARGE)
    models = models_of(backend)
    async with running(models) as server, server.client() as slow, server.client() as quick:
        engine = server.models.deployed("m").engine
        await slow.send(content[:100_000])
        await until(lambda: engine.statistics().queued == 1)  # it holds a row
        for factor in (2, 3):
            answer = await quick.ask(infer(factor * LARGE))
            np.testing.assert_array_equal(answer.y, 2 * factor * LARGE)
        await slow.send(content[100_000:])
        np.testing.assert_array_equal((await slow.answer()).y, 2 * LARGE)
    assert [len(computed) for computed in backend.computed] == [1, 1, 1]


async def test_whoever_is_slow_leaves_the_rows_to_others() -> None:
    content = infer(LARGE)
    models = models_of(doubling(50_000), max_queue_size=2)
    async with running(models) as server, server.client() as slow:
        engine = models.deployed("m").engine
        await slow.send(content[:100_000])
        await until(lambda: engine.statistics().queued == 1)
        server.pass_time(2)
        assert engine.statistics().queued == 0
        await slow.send(content[100_000:])
        np.testing.assert_array_equal((await slow.answer()).y, 2 * LARGE)


async def test_half_sent_bodies_leave_half_of_the_queue_to_others() -> None:
    """However many there are, and without any time that passes."""
    content = infer(LARGE)
    models = models_of(doubling(50_000), max_queue_size=8)
    async with running(models) as server, server.client() as other, AsyncExitStack() as stack:
        engine = models.deployed("m").engine
        slow = [await stack.enter_async_context(server.client()) for _ in range(12)]
        for each in slow:
            await each.send(content[:1000])

        def have_begun() -> bool:
            return sum(each.pending > 0 for each in server.server.connections) == len(slow)

        await until(have_begun)
        assert engine.statistics().queued == 4
        for _ in range(2):
            np.testing.assert_array_equal((await other.ask(content)).y, 2 * LARGE)
        for each in slow:
            await each.send(content[1000:])
            np.testing.assert_array_equal((await each.answer()).y, 2 * LARGE)
        await other.send(content[:1000])  # what they held is free again
        await until(lambda: engine.statistics().queued == 1)
        await other.send(content[1000:])
        np.testing.assert_array_equal((await other.answer()).y, 2 * LARGE)


async def test_there_is_a_limit_to_all_that_is_being_received() -> None:
    x = np.ones((1, 300_000), np.float32)  # more than is read at once
    content = infer(x)
    limits = Limits(bodies=1_500_000)
    models = models_of(doubling("W"))
    async with running(models, limits=limits) as server, server.client() as other:
        async with server.client() as half:
            await half.send(content[:-4])
            await server.begun(longer_than=1_000_000)
            refused = await other.ask(content)
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert await other.rest() == b""
        server.pass_time(3)  # the other one does not go
        await server.connections(0)
        async with server.client() as client:
            for _ in range(3):
                np.testing.assert_array_equal((await client.ask(content)).y, 2 * x)
        assert models.deployed("m").engine.statistics().queued == 0


async def test_a_model_is_replaced_in_the_midst_of_a_tensor() -> None:
    content = infer(LARGE)
    models = models_of(doubling(50_000))
    async with running(models) as server, server.client() as client:
        engine = models.deployed("m").engine
        await client.send(content[:100_000])
        await until(lambda: engine.statistics().queued == 1)
        await models.find("m").load()
        assert models.deployed("m").engine is not engine
        await client.send(content[100_000:])
        np.testing.assert_array_equal((await client.answer()).y, 2 * LARGE)


async def test_a_model_that_was_unloaded_is_not_asked_any_more() -> None:
    models = models_of(doubling())
    async with running(models) as server, server.client() as client:
        assert (await client.ask(infer(X))).status == 200
        await models.find("m").unload()
        answer = await client.ask(infer(X))
        assert answer.status == 503
        await models.find("m").load()
        np.testing.assert_array_equal((await client.ask(infer(X))).y, 2 * X)


async def test_several_inputs_and_outputs() -> None:
    backend = ScriptedBackend(
        lambda a, b: [a + b, a - b],
        inputs=[tensor("a", "N", 4), tensor("b", "N", 4)],
        outputs=[tensor("y", "N", 4), tensor("z", "N", 4)],
    )
    asked = {"inputs": [binary("b", [2, 4], "FP32"), binary("a", [2, 4], "FP32")]}
    content, length = body(asked, X, 3 * X)
    async with running(models_of(backend)) as server, server.client() as client:
        answer = await client.ask(
            request("POST", "/v2/models/m/infer", content, f"{JSON_LENGTH}: {length}")
        )
        np.testing.assert_array_equal(answer.y, 4 * X)


@pytest.mark.parametrize("dtype", ["bool", "int64"])
async def test_a_large_tensor_that_must_be_looked_at(dtype: str) -> None:
    backend = ScriptedBackend(
        inputs=[tensor("x", "N", 200_000, dtype=dtype)],
        outputs=[tensor("y", "N", 200_000, dtype=dtype)],
    )
    x = np.ones((1, 200_000), dtype)
    datatype = {"bool": "BOOL", "int64": "INT64"}[dtype]
    asked = {"inputs": [binary("x", x.shape, datatype)]}
    content, length = body(asked, x)
    async with running(models_of(backend)) as server, server.client() as client:
        sent = request("POST", "/v2/models/m/infer", content, f"{JSON_LENGTH}: {length}")
        assert (await client.ask(sent)).y.all()
        if dtype == "bool":
            answer = await client.ask(sent[:-1] + b"\2")
            assert (answer.status, "0 or 1" in answer.error) == (400, True)


async def test_refusals_leave_the_connection_as_it_is() -> None:
    backend = doubling()
    backend.bad = lambda row: row[0] == 9
    async with running(models_of(backend)) as server, server.client() as client:
        for sent, status in (
            (infer(rows([9])), 500),
            (infer(np.zeros((1, 5), np.float32)), 400),
            (infer(np.zeros((0, 4), np.float32)), 400),
            (infer(X, parameters={"priority": 10}), 400),
            (infer(X, parameters={"sequence_id": 1}), 400),
            (request("POST", "/v2/models/m/infer", b"{"), 400),
            (request("POST", "/v2/models/m/infer"), 400),
            (request("POST", "/v2/models/m/infer", b"{}", f"{JSON_LENGTH}: 3"), 400),
            (request("POST", "/v2/models/m/infer", b"{}", f"{JSON_LENGTH}: -1"), 400),
            (request("POST", "/v2/models/z/infer", b"{}"), 404),
        ):
            answer = await client.ask(sent)
            assert (answer.status, bool(answer.error)) == (status, True)
        np.testing.assert_array_equal((await client.ask(infer(X))).y, 2 * X)


@pytest.mark.parametrize("cut", [-4, 4])
async def test_a_large_tensor_of_another_size_than_it_says(cut: int) -> None:
    asked = {"inputs": [binary("x", LARGE.shape, "FP32")]}
    content, length = body(asked, LARGE)
    content = content[:cut] if cut < 0 else content + bytes(cut)
    async with running(models_of(doubling("W"))) as server, server.client() as client:
        sent = request("POST", "/v2/models/m/infer", content, f"{JSON_LENGTH}: {length}")
        answer = await client.ask(sent)
        assert (answer.status, "200000 bytes" in answer.error) == (400, True)
        np.testing.assert_array_equal((await client.ask(infer(LARGE))).y, 2 * LARGE)


async def test_a_large_request_that_is_refused_before_it_is_here() -> None:
    """What is left of it is not taken for the next request."""
    content = infer(LARGE).replace(b'"x"', b'"z"')
    async with running(models_of(doubling("W"))) as server, server.client() as client:
        await client.send(content[:100_000])
        await client.send(content[100_000:] + infer(LARGE))
        answer = await client.answer()
        assert (answer.status, "no input 'z'" in answer.error) == (400, True)
        np.testing.assert_array_equal((await client.answer()).y, 2 * LARGE)


@pytest.mark.parametrize("x", [X, LARGE], ids=["small", "large"])
async def test_a_timeout(x: np.ndarray) -> None:
    backend = doubling("W")
    async with running(models_of(backend)) as server, server.client() as client:
        with held(backend):
            late = await client.ask(infer(x, parameters={"timeout": 20_000}))
        assert (late.status, "timeout" in late.error) == (504, True)
        assert server.models.deployed("m").engine.statistics().cancelled == 1
        answer = await client.ask(infer(3 * x, parameters={"timeout": 100_000_000}))
        np.testing.assert_array_equal(answer.y, 6 * x)  # and not the answer to the first


async def test_a_timeout_counts_from_when_the_request_is_complete() -> None:
    """So it is not received into rows, which would be expired when it is."""
    models = models_of(doubling("W"))
    content = infer(LARGE, parameters={"timeout": 100_000_000})
    async with running(models) as server, server.client() as client:
        await client.send(content[:100_000])
        await server.begun()
        assert models.deployed("m").engine.statistics().queued == 0
        await client.send(content[100_000:])
        np.testing.assert_array_equal((await client.answer()).y, 2 * LARGE)


async def test_the_longest_timeout() -> None:
    async with running(models_of(doubling())) as server, server.client() as client:
        for timeout, status in ((2**63 - 1, 200), (2**63, 400), (10**30, 400)):
            answer = await client.ask(infer(X, parameters={"timeout": timeout}))
            assert answer.status == status, answer.body


async def test_what_was_late_is_never_taken_for_the_next_answer() -> None:
    """The first runs still, when the second is asked on the same connection."""
    backend = doubling()
    async with running(models_of(backend)) as server, server.client() as client:
        engine = server.models.deployed("m").engine
        with held(backend):
            await client.send(infer(X, parameters={"timeout": 100_000_000}))
            await filled(engine, queued=0, in_flight=2)
            server.time_out()
            assert (await client.answer()).status == 504
            await client.send(infer(3 * X))
            await filled(engine, queued=2, in_flight=2)
        np.testing.assert_array_equal((await client.answer()).y, 6 * X)


async def test_what_was_sent_behind_what_is_late_is_answered() -> None:
    backend = doubling()
    async with running(models_of(backend)) as server, server.client() as client:
        with held(backend):
            await client.send(infer(X, parameters={"timeout": 20_000}) + request())
            assert (await client.answer()).status == 504
            assert (await client.answer()).status == 200


async def test_priority() -> None:
    backend = doubling()
    models = models_of(backend, max_batch_size=1)
    async with running(models) as server, anyio.create_task_group() as tasks:
        engine = models.deployed("m").engine

        async def ask(value: float, priority: int) -> None:
            async with server.client() as client:
                await client.ask(infer(rows([value]), parameters={"priority": priority}))

        with held(backend):
            for queued, (value, priority) in enumerate([(0, 0), (1, 9), (2, 0), (3, 1)]):
                tasks.start_soon(ask, value, priority)
                await filled(engine, queued)
    assert [computed[0, 0] for computed in backend.computed] == [0, 3, 2, 1]


async def test_a_full_queue() -> None:
    backend = doubling()
    models = models_of(backend, max_batch_size=1, max_queue_size=1)
    async with running(models) as server, anyio.create_task_group() as tasks:
        statuses = []

        async def ask() -> None:
            async with server.client() as client:
                statuses.append((await client.ask(infer(X[:1]))).status)

        with held(backend):
            for queued in (0, 1):
                tasks.start_soon(ask)
                await filled(models.deployed("m").engine, queued)
            async with server.client() as client:
                refused = await client.ask(infer(X[:1]))
                assert (refused.status, refused.headers["retry-after"]) == (429, "1")
                assert (await client.ask(infer(X))).status == 413
    assert statuses == [200, 200]


async def test_an_answer_that_json_cannot_carry() -> None:
    asked = {"inputs": [binary("x", [1, 4], "FP32")]}
    content, length = body(asked, rows([float("inf")]))
    async with running(models_of(doubling())) as server, server.client() as client:
        answer = await client.ask(
            request("POST", "/v2/models/m/infer", content, f"{JSON_LENGTH}: {length}")
        )
        assert (answer.status, "infinity" in answer.error) == (400, True)
