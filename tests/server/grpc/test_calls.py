"""Calls and how they end."""

import logging

import anyio
import pytest

from support.helpers import rows
from tests.server.grpc.clients import parameters, raw, refused, request, serving
from tests.server.grpc.looking import EMPTY, TRACE, TRACED, Looking
from tests.server.serving import filled, held, models_of
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


async def test_an_answer(backend: ScriptedBackend) -> None:
    async with serving(models_of(backend)) as client:
        answer = await client.infer(request(rows([1, 2]), id="an id"))
        (output,) = answer.outputs
        assert (answer.model_name, answer.model_version, answer.id) == ("m", "1", "an id")
        assert (output.name, output.datatype, list(output.shape)) == ("y", "FP32", [2, 4])
        assert list(answer.raw_output_contents) == [rows([2, 4]).tobytes()]
        assert not output.HasField("contents")
        assert (await client.infer(request(rows([1])))).id == ""


async def test_what_is_no_request(backend: ScriptedBackend) -> None:
    async with serving(models_of(backend)) as client:
        error = await refused(client.send("ModelInfer", b"\x0a\xff"), "INVALID_ARGUMENT")
        assert "no ModelInferRequest" in error.details()
        error = await refused(client.send("ModelConfig", b"\x0a\x01\xff"), "INVALID_ARGUMENT")
        assert "no ModelConfigRequest" in error.details()
        await refused(client.send("Nothing", b""), "UNIMPLEMENTED")
        assert await client.infer(request(rows([1])))


@pytest.mark.parametrize("name", ["x" * 100_000, "☃" * 100_000, "\r\n%\0"])
async def test_a_long_name_does_not_break_the_status(backend: ScriptedBackend, name: str) -> None:
    """A status goes as a header, and a client takes no header of any length."""
    async with serving(models_of(backend)) as client:
        error = await refused(client.infer(request(rows([1]), model=name)), "NOT_FOUND")
        assert error.details().startswith("there is no model '")


async def test_a_row_that_the_model_fails_on(backend: ScriptedBackend) -> None:
    backend.bad = lambda row: bool(row[0] == 7)
    async with serving(models_of(backend)) as client:
        error = await refused(client.infer(request(rows([7]))), "INTERNAL")
        assert error.trailing_metadata() == ()
        assert await client.infer(request(rows([1])))


async def test_a_lost_device(backend: ScriptedBackend) -> None:
    backend.lose = True
    async with serving(models_of(backend)) as client:
        await refused(client.infer(request(rows([1]))), "UNAVAILABLE")


async def test_a_full_queue_and_a_request_that_never_fits(backend: ScriptedBackend) -> None:
    models = models_of(backend, max_batch_size=1, max_queue_size=2)
    async with serving(models) as client, anyio.create_task_group() as tasks:
        engine = models.deployed("m").engine
        with held(backend):
            tasks.start_soon(engine.infer, {"x": rows([1])})
            await filled(engine, queued=0)
            tasks.start_soon(engine.infer, {"x": rows([1, 2])})
            await filled(engine, queued=2)
            error = await refused(client.infer(request(rows([1]))), "RESOURCE_EXHAUSTED")
            assert int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"]) >= 1000
            await refused(client.infer(request(rows([1, 2, 3]))), "INVALID_ARGUMENT")


async def test_what_nobody_foresaw_is_for_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    engine = Looking()
    engine.error = KeyError("secret")
    with caplog.at_level(logging.ERROR, "trtasync"):
        async with serving(engine.models) as client:
            error = await refused(client.infer(EMPTY), "INTERNAL")
    assert "secret" not in error.details()
    assert "secret" in caplog.text


async def test_the_trace_is_that_of_the_call() -> None:
    engine = Looking()
    async with serving(engine.models) as client:
        for metadata in (TRACED, ()):
            await refused(client.infer(EMPTY, metadata=metadata), "INTERNAL")
    assert engine.seen == [TRACE, None]


async def test_priorities(backend: ScriptedBackend) -> None:
    """The later one is computed first, for it matters more."""
    models = models_of(backend, max_batch_size=1)
    async with serving(models) as client, anyio.create_task_group() as tasks:
        engine = models.deployed("m").engine

        async def ask(value: int) -> None:
            more = parameters(priority=value)
            answer = await client.infer(request(rows([value]), parameters=more))
            assert answer.raw_output_contents[0] == raw(2 * value)

        with held(backend):
            tasks.start_soon(engine.infer, {"x": rows([1])})
            await filled(engine, queued=0)
            for queued, value in enumerate((5, 2), 1):
                tasks.start_soon(ask, value)
                await filled(engine, queued)
    assert [computed[0, 0] for computed in backend.computed] == [1, 2, 5]
