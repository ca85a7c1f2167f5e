"""ModelStreamInfer."""

import logging

import anyio
import grpc
import grpc.aio
import pytest

from support.helpers import rows, until
from tests.server.grpc.clients import (
    Client,
    connected,
    parameters,
    raw,
    refused,
    request,
    serving,
)
from tests.server.grpc.looking import EMPTY, TRACE, TRACED, Looking
from tests.server.serving import filled, held, models_of
from trtasync.server.grpc import Limits
from trtasync.server.grpc.inference import Inference
from trtasync.server.grpc.server import INFERENCE_SERVICE
from trtasync.server.grpc.streams import Streams
from trtasync.server.protocol.refusals import UNEXPECTED
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


async def test_answers_come_in_the_order_of_their_requests(backend: ScriptedBackend) -> None:
    """Though the last is computed first; a client may have given them no ids."""
    models = models_of(backend, max_batch_size=1)
    async with serving(models) as client, anyio.create_task_group() as tasks:
        engine = models.deployed("m").engine
        stream = client.stream()
        with held(backend):
            tasks.start_soon(engine.infer, {"x": rows([0])})
            await filled(engine, queued=0)
            for queued, value in enumerate((5, 4, 3, 2)):
                more = parameters(priority=value)
                await stream.write(request(rows([value]), parameters=more))
                await filled(engine, queued + 1)
        for value in (5, 4, 3, 2):
            answer = await stream.read()
            assert answer.infer_response.raw_output_contents[0] == raw(2 * value)
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
    assert [computed[0, 0] for computed in backend.computed] == [0, 2, 3, 4, 5]


async def test_every_answer_is_marked_as_the_last_one(backend: ScriptedBackend) -> None:
    """And `triton_enable_empty_final_response` brings no further one."""
    more = parameters(triton_enable_empty_final_response=True)
    async with serving(models_of(backend)) as client:
        stream = client.stream()
        await stream.write(request(rows([1]), id="a", parameters=more))
        await stream.write(request(rows([2]), model="nothing", id="b", parameters=more))
        await stream.done_writing()
        good, bad = [answer async for answer in stream]
    assert good.error_message == ""
    assert good.infer_response.id == "a"
    assert good.infer_response.parameters["triton_final_response"].bool_param
    assert bad.error_message == "there is no model 'nothing'."
    assert bad.infer_response.id == "b"
    assert bad.infer_response.parameters["triton_final_response"].bool_param


async def test_what_is_asked_before_the_client_has_said_all_is_answered(
    backend: ScriptedBackend,
) -> None:
    models = models_of(backend)
    async with serving(models) as client:
        stream = client.stream()
        with held(backend):
            await stream.write(request(rows([1])))
            await filled(models.deployed("m").engine, queued=0)
            await stream.done_writing()
        assert (await stream.read()).infer_response.raw_output_contents[0] == raw(2)
        assert await stream.read() is grpc.aio.EOF
        assert (await stream.code()) is grpc.StatusCode.OK


async def test_a_stream_goes_on_after_errors_of_any_kind(backend: ScriptedBackend) -> None:
    backend.bad = lambda row: bool(row[0] == 7)
    async with serving(models_of(backend)) as client:
        call = client.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")()
        await call.write(b"\x0a\xff")
        assert b"no ModelInferRequest" in await call.read()
        await call.write(request(rows([7])).SerializeToString())
        assert b"row of this batch is bad" in await call.read()
        await call.write(request(rows([7]), model="x" * 100_000).SerializeToString())
        assert len(await call.read()) < 1000
        await call.write(request(rows([1])).SerializeToString())
        assert raw(2) in await call.read()


async def test_a_client_may_have_the_first_error_end_its_stream(backend: ScriptedBackend) -> None:
    """What was asked before is answered first."""
    async with serving(models_of(backend)) as client:
        stream = client.stream(metadata=(("triton_grpc_error", "true"),))
        await stream.write(request(rows([1])))
        await stream.write(request(rows([2]), model="nothing"))
        assert (await stream.read()).infer_response.raw_output_contents[0] == raw(2)
        error = await refused(stream.read(), "NOT_FOUND")
        assert error.details() == "there is no model 'nothing'."


async def test_a_stream_takes_no_more_than_it_may(backend: ScriptedBackend) -> None:
    """Whatever its client sends; others get their turn."""
    models = models_of(backend, max_batch_size=1)
    limits = Limits(of_stream=3)
    async with serving(models, limits=limits) as client, anyio.create_task_group() as tasks:
        engine = models.deployed("m").engine
        with held(backend):
            stream = client.stream()
            for value in range(6):
                await stream.write(request(rows([value])))
            await filled(engine, queued=2)
            tasks.start_soon(infer, client, 9)
            await filled(engine, queued=3)
        for value in range(6):
            assert (await stream.read()).infer_response.raw_output_contents[0] == raw(2 * value)
    assert [computed[0, 0] for computed in backend.computed][:4] == [0, 1, 2, 9]


async def infer(client: Client, value: float) -> None:
    """One request of its own."""
    answer = await client.infer(request(rows([value])))
    assert answer.raw_output_contents[0] == raw(2 * value)


async def test_streams_beside_each_other(backend: ScriptedBackend) -> None:
    async def ask(first: int) -> None:
        stream = client.stream()
        values = range(first, first + 50)
        for value in values:
            await stream.write(request(rows([value]), id=str(value)))
        await stream.done_writing()
        answers = [answer.infer_response async for answer in stream]
        assert [answer.id for answer in answers] == list(map(str, values))
        assert [answer.raw_output_contents[0] for answer in answers] == [
            raw(2 * value) for value in values
        ]
        done.append(first)

    done: list[int] = []
    async with serving(models_of(backend)) as client, anyio.create_task_group() as tasks:
        for first in range(0, 1000, 100):
            tasks.start_soon(ask, first)
    await until(lambda: len(done) == 10)


@pytest.mark.parametrize("ends", ["true", "false"])
async def test_what_nobody_foresaw_is_for_the_log_alone(
    caplog: pytest.LogCaptureFixture, ends: str
) -> None:
    engine = Looking()
    engine.error = KeyError("secret")
    with caplog.at_level(logging.ERROR, "trtasync"):
        async with serving(engine.models) as client:
            stream = client.stream(metadata=(*TRACED, ("triton_grpc_error", ends)))
            await stream.write(EMPTY)
            if ends == "true":
                told = (await refused(stream.read(), "INTERNAL")).details()
            else:
                told = (await stream.read()).error_message
    assert told == UNEXPECTED
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["'secret'"]
    assert engine.seen == [TRACE]


async def test_a_stream_that_begins_at_the_end_is_not_read(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    streams = Streams(Inference(models), 1)
    server = grpc.aio.server()
    handlers = {"ModelStreamInfer": streams.handler}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(INFERENCE_SERVICE, handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    streams.drain()
    async with connected(port) as client:
        stream = client.stream()
        error = await refused(stream.read(), "UNAVAILABLE")
    assert error.details() == "the server is ending; ask another one."
    await server.stop(None)
