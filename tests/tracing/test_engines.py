"""Spans of requests and batches, as an exporter gets them."""

import anyio
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from support.helpers import rows, until
from tests.server.messages import given
from tests.server.serving import INFER, client_of, filled, held
from tests.tracing.collecting import Spans, ids, told
from trtasync import InferenceError, QueueFull, open_engine
from trtasync.engine import observe
from trtasync.integrations.opentelemetry import trace_engine
from trtasync.server.models import Models
from trtasync.shared.protocol import AnyEngine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def test_a_batch_is_linked_to_its_requests(backend: ScriptedBackend, spans: Spans) -> None:
    async with open_engine(backend, name="m", loop_budget=0.0) as engine:
        trace_engine(engine, spans.provider)
        async with anyio.create_task_group() as tasks:
            with held(backend):
                tasks.start_soon(engine.infer, rows([1]))
                await filled(engine, queued=0)
                tasks.start_soon(engine.infer, rows([1, 2]))
                tasks.start_soon(engine.infer, rows([3]))
                await filled(engine, queued=3)
    requests, batches = spans.named("infer m"), spans.named("batch m")
    assert [len(each.links) for each in batches] == [1, 2]
    assert [each.attributes and each.attributes["trtasync.batch.rows"] for each in batches] == [
        1,
        3,
    ]
    assert len(requests) == 3
    assert ids(requests) == ids([link for each in batches for link in each.links])
    for each in requests:
        (link,) = each.links
        (batch,) = (one for one in batches if one.context.span_id == link.context.span_id)
        assert each.context.span_id in ids(list(batch.links))
        assert told(each, "trtasync.batch.rows") == told(batch, "trtasync.batch.rows")
    assert all(each.parent is None for each in batches)
    assert len({each.context.trace_id for each in [*requests, *batches]}) == 5


async def test_a_batch_lies_within_its_requests(backend: ScriptedBackend, spans: Spans) -> None:
    async with open_engine(backend, name="m", loop_budget=0.0) as engine:
        trace_engine(engine, spans.provider)
        await engine.infer(rows([1]))
    (request,), (batch,) = spans.named("infer m"), spans.named("batch m")
    times = request.start_time, batch.start_time, batch.end_time, request.end_time
    assert None not in times
    slack = 1_000_000  # two clocks
    begin, started, delivered, end = (time or 0 for time in times)
    assert begin - slack <= started <= delivered <= end + slack
    assert 0 < told(batch, "trtasync.compute.duration") * 1e9 <= delivered - started + slack


async def test_a_request_is_a_child_of_its_caller_s(backend: ScriptedBackend, spans: Spans) -> None:
    tracer = spans.provider.get_tracer("test")
    async with open_engine(backend, name="m", loop_budget=0.0) as engine:
        trace_engine(engine, spans.provider)
        with tracer.start_as_current_span("caller") as caller:
            await engine.infer(rows([1]))
    (request,) = spans.named("infer m")
    assert request.parent == caller.get_span_context()
    assert request.instrumentation_scope is not None
    assert request.instrumentation_scope.name == "trtasync"


async def test_ends_of_requests(backend: ScriptedBackend, spans: Spans) -> None:
    async with open_engine(backend, name="m", loop_budget=0.0, max_queue_size=1) as engine:
        trace_engine(engine, spans.provider)
        with pytest.raises(InferenceError):
            await engine.infer(rows([-1]))
        (failed,) = spans.named("infer m")
        assert failed.status.status_code is StatusCode.ERROR
        assert told(failed, "error.type") == "InferenceError"
        assert [event.name for event in failed.events] == ["exception"]
        assert not failed.links
        async with anyio.create_task_group() as tasks:
            with held(backend):
                tasks.start_soon(engine.infer, rows([1]))
                await filled(engine, queued=0)
                with anyio.CancelScope() as scope:
                    tasks.start_soon(_cancel_when_it_waits, engine, scope)
                    await engine.infer(rows([2]))
                tasks.start_soon(engine.infer, rows([3]))
                await filled(engine, queued=1)
                with pytest.raises(QueueFull):
                    await engine.infer(rows([4]))
        _, cancelled, *answered = spans.named("infer m")
        assert told(cancelled, "trtasync.cancelled") is True
        assert cancelled.status.status_code is StatusCode.UNSET
        assert [each.status.status_code for each in answered] == [StatusCode.UNSET] * 2
        assert [told(each, "trtasync.cancelled") for each in answered] == [None] * 2


async def _cancel_when_it_waits(engine: AnyEngine, scope: anyio.CancelScope) -> None:
    await filled(engine, queued=1)
    scope.cancel()


async def test_what_is_not_sampled_makes_no_batch_spans(backend: ScriptedBackend) -> None:
    spans = Spans(sampler=ALWAYS_OFF)
    async with open_engine(backend, name="m", loop_budget=0.0) as engine:
        trace_engine(engine, spans.provider)
        assert (await engine.infer(rows([1]))).tolist() == (2 * rows([1])).tolist()
    assert spans.named("infer m") == spans.named("batch m") == []
    spans.provider.shutdown()


async def test_a_split_request_is_linked_to_all_its_batches(
    backend: ScriptedBackend, spans: Spans
) -> None:
    async with open_engine(backend, name="m", loop_budget=0.0, max_batch_size=2) as engine:
        trace_engine(engine, spans.provider)
        await engine.infer(rows([1, 2, 3, 4, 5]))
    (request,), batches = spans.named("infer m"), spans.named("batch m")
    assert len(batches) >= 3
    assert ids(list(request.links)) == ids(batches)


async def test_it_ends_when_it_is_taken_back(backend: ScriptedBackend, spans: Spans) -> None:
    async with open_engine(backend, name="m", loop_budget=0.0) as engine:
        trace_engine(engine, spans.provider)
        observe(engine, None)
        await engine.infer(rows([1]))
        assert spans.named("infer m") == spans.named("batch m") == []


async def test_closing_is_no_request(backend: ScriptedBackend, spans: Spans) -> None:
    engine = await open_engine(backend, name="m", loop_budget=0.0)
    trace_engine(engine, spans.provider)
    async with anyio.create_task_group() as tasks:
        with held(backend):
            tasks.start_soon(engine.infer, rows([1]))
            await filled(engine, queued=0)
            tasks.start_soon(engine.aclose)
            await until(lambda: "closing" in repr(engine))
            tasks.start_soon(engine.aclose)
            await anyio.lowlevel.checkpoint()
    assert len(spans.named("infer m")) == 1


@pytest.mark.parametrize("sampled", [True, False])
async def test_a_traceparent_is_the_parent(
    backend: ScriptedBackend, spans: Spans, sampled: bool
) -> None:
    async def opened() -> AnyEngine:
        engine = await open_engine(backend, name="m", loop_budget=0.0)
        return trace_engine(engine, spans.provider)

    models = Models()
    models.add("m", opened)
    async with client_of(models) as client:
        headers = {"traceparent": f"00-{TRACE}-{SPAN}-0{int(sampled)}", "tracestate": "a=1"}
        content = {"inputs": [given("x", [1, 4], "FP32", data=rows([1]).tolist())]}
        response = await client.post(INFER, json=content, headers=headers)
        assert response.status_code == 200
    found = spans.named("infer m")
    if not sampled:
        assert not found
        return
    (request,) = found
    assert request.parent is not None
    assert request.parent.is_remote
    assert f"{request.parent.trace_id:032x}-{request.parent.span_id:016x}" == f"{TRACE}-{SPAN}"
    assert request.context.trace_state.get("a") == "1"
