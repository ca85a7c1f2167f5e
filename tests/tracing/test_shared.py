"""An engine in another process: its batches' spans are linked to those of its clients' requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import numpy as np
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from support.helpers import row, rows, until
from support.wire import infer as said_infer
from tests.host.serving import hosting
from tests.server.serving import held
from tests.shared.joined import Joined, joined
from tests.tracing.collecting import Spans, ids, linked, told
from trtasync import Engine, open_engine
from trtasync.integrations.opentelemetry import trace_engine
from trtasync.shared.records import Op, pack
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


def engine_of(shared: Joined) -> Engine:
    """The engine in the host."""
    (model,) = shared.host._models.values()
    return model.engine


@asynccontextmanager
async def traced(spans: Spans, backend: ScriptedBackend, **options: Any) -> AsyncIterator[Joined]:
    """A shared engine, both of whose sides are traced."""
    async with joined(backend, **options) as shared:
        trace_engine(shared.engine, spans.provider)
        trace_engine(engine_of(shared), spans.provider)
        yield shared


async def test_a_batch_is_linked_to_the_requests_of_its_clients(
    spans: Spans, backend: ScriptedBackend
) -> None:
    tracer = spans.provider.get_tracer("test")
    async with traced(spans, backend) as shared:
        with held(backend):
            async with anyio.create_task_group() as tasks:
                with tracer.start_as_current_span("caller") as caller:
                    tasks.start_soon(shared.engine.infer, rows([1]))
                await until(lambda: engine_of(shared).statistics().in_flight == 1)
                tasks.start_soon(shared.engine.infer, rows([2, 3]))
                tasks.start_soon(shared.engine.infer, row(4))
                await until(lambda: engine_of(shared).statistics().queued == 3)
                backend.gate.let()
    requests, batches = spans.named("infer scripted"), spans.named("batch scripted")
    assert [told(each, "trtasync.batch.rows") for each in batches] == [1, 3]
    assert [len(each.links) for each in batches] == [1, 2]
    assert len(requests) == 3
    assert linked(batches) == ids(requests)
    assert [each.parent for each in requests if each.parent] == [caller.get_span_context()]
    contexts = {each.context.span_id: each.context for each in requests}
    for link in (link for batch in batches for link in batch.links):
        own = contexts[link.context.span_id]
        assert (link.context.trace_id, link.context.trace_flags) == (own.trace_id, own.trace_flags)


async def test_requests_of_every_kind(spans: Spans, backend: ScriptedBackend) -> None:
    async with traced(spans, backend) as shared:
        engine = shared.engine
        own = engine.empty_input(2)
        own[...] = rows([1, 2])
        for given in (rows([1]), row(2), rows([3, 4]), {"x": row(5)}, own, rows([1])):
            await engine.infer(given)
        with await engine.infer(row(6), copy=False) as lent:
            np.testing.assert_array_equal(lent, 2 * row(6))
    requests, batches = spans.named("infer scripted"), spans.named("batch scripted")
    assert len(requests) == len(batches) == 7
    assert [next(iter(batch.links)).context.span_id for batch in batches] == [
        each.context.span_id for each in requests
    ]


async def test_a_request_that_was_never_said_is_in_no_batch(
    spans: Spans, backend: ScriptedBackend
) -> None:
    """It is cancelled in the turn in which it was asked; what follows is not taken for it."""
    async with traced(spans, backend) as shared:
        await shared.engine.infer(row(0))
        async with anyio.create_task_group() as tasks:

            async def hasty() -> None:
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await shared.engine.infer(row(1))

            for _ in range(3):
                tasks.start_soon(hasty)
                tasks.start_soon(shared.engine.infer, row(2))
    requests, batches = spans.named("infer scripted"), spans.named("batch scripted")
    answered = [each for each in requests if not told(each, "trtasync.cancelled")]
    assert len(answered) == 4
    assert linked(batches) == ids(answered)


@pytest.mark.parametrize("sampled", ["host", "client"])
async def test_what_a_client_does_not_record_makes_no_batch(
    spans: Spans, backend: ScriptedBackend, sampled: str
) -> None:
    silent = Spans(sampler=ALWAYS_OFF)
    client, host = (silent, spans) if sampled == "host" else (spans, silent)
    async with joined(backend) as shared:
        trace_engine(shared.engine, client.provider)
        trace_engine(engine_of(shared), host.provider)
        np.testing.assert_array_equal(await shared.engine.infer(row(1)), 2 * row(1))
    assert spans.named("batch scripted") == silent.named("batch scripted") == []
    assert len(spans.named("infer scripted")) == (sampled == "client")
    silent.provider.shutdown()


@pytest.mark.parametrize("side", ["client", "host"])
async def test_one_side_alone(spans: Spans, backend: ScriptedBackend, side: str) -> None:
    async with joined(backend) as shared:
        trace_engine(shared.engine if side == "client" else engine_of(shared), spans.provider)
        for value in (1, 2):
            np.testing.assert_array_equal(await shared.engine.infer(row(value)), 2 * row(value))
    assert len(spans.named("infer scripted")) == 2 * (side == "client")
    assert not spans.named("batch scripted")


async def test_the_next_host_is_told_too(spans: Spans, backend: ScriptedBackend) -> None:
    async with traced(spans, backend, reconnect=20) as shared:
        await shared.engine.infer(row(1))
        shared.host.cut()
        await until(lambda: not shared.engine.is_alive)
        await until(lambda: shared.engine.is_alive)
        await shared.engine.infer(row(2))
    assert len(spans.named("batch scripted")) == 2
    assert linked(spans.named("batch scripted")) == ids(spans.named("infer scripted"))


async def test_a_trace_is_of_the_next_request_only(spans: Spans) -> None:
    """What a client says is its own affair: the host takes it as it comes."""
    backend = ScriptedBackend()
    async with (
        open_engine(backend, name="m", loop_budget=0.0) as engine,
        hosting(trace_engine(engine, spans.provider)) as host,
    ):
        client = await host.client()
        client.say(pack(Op.TRACE, 1, 2, flag=1, number=3, other=4))
        client.say(pack(Op.TRACE, 5, 6, flag=1, number=7, other=8))
        for slot in (0, 1):
            await client.infer(slot, 0, row(slot))
        client.say(pack(Op.TRACE, 9, 9, flag=1, number=9, other=9))
        client.put(0, 0, row(2))
        client.put(1, 0, row(3))
        client.say(said_infer(0, 0, 1), said_infer(1, 0, 1))
        await client.hear_all(2)
    links = [[link.context for link in batch.links] for batch in spans.named("batch m")]
    assert [[(at.trace_id, at.span_id) for at in each] for each in links] == [
        [(7 << 64 | 8, 5 << 32 | 6)],
        [(9 << 64 | 9, 9 << 32 | 9)],
    ]


async def test_who_traces_is_turned_away_like_others(backend: ScriptedBackend) -> None:
    async with (
        open_engine(backend, name="m", loop_budget=0.0) as engine,
        hosting(engine) as host,
    ):
        client = await host.client()
        with held(backend):
            client.ask(0, 0, row(1))
            await until(lambda: engine.statistics().in_flight == 1)
            host.service.stop()
            await anyio.wait_all_tasks_blocked()
            client.say(pack(Op.TRACE, 1, 2, flag=1))
            client.ask(1, 0, row(2))
            assert "takes nothing new" in str(await client.refusal(Op.FAILED))
