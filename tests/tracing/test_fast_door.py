"""Requests that the fast door answers itself, without a task or a future."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import Link, SpanKind, StatusCode, TracerProvider
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

from support.helpers import Array, rows, tensor, until
from tests.server.fast.clients import infer, running
from tests.server.serving import filled, held, models_of
from tests.shared.joined import joined
from tests.tracing.collecting import Spans, ids, linked, told
from trtasync import Engine, connect, open_engine
from trtasync.integrations.opentelemetry import trace_engine
from trtasync.server.fast.desk import StraightDesk
from trtasync.server.fast.replies import Asked
from trtasync.server.models import Models
from trtasync.shared.protocol import AnyEngine
from trtasync.testing import ScriptedBackend

ASYNCIO: Any = ("asyncio", {"use_uvloop": False})
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", [ASYNCIO])]

TRACEPARENT = f"traceparent: 00-{'ab' * 16}-{'cd' * 8}-01"


class EverySecond(Sampler):
    """Keeps one of two traces that begin here."""

    def __init__(self) -> None:
        self._seen = 0

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """See `Sampler.should_sample`."""
        if name.startswith("batch"):
            return SamplingResult(Decision.RECORD_AND_SAMPLE)
        self._seen += 1
        return SamplingResult(Decision.RECORD_AND_SAMPLE if self._seen % 2 else Decision.DROP)

    def get_description(self) -> str:
        """See `Sampler.get_description`."""
        return "every second"


def traced(backend: ScriptedBackend, provider: TracerProvider, **options: Any) -> Models:
    """A model "m" whose engine is traced."""

    async def opened() -> AnyEngine:
        engine: AnyEngine = await open_engine(backend, name="m", loop_budget=0.0, **options)
        return trace_engine(engine, provider)

    models = Models()
    models.add("m", opened)
    return models


async def no_application(scope: object, receive: object, send: object) -> None:
    """The door hands over none of these requests."""
    raise AssertionError("this is the application's")


@pytest.mark.parametrize("shape", [(1, 4), (3, 4), (1, 50_000)], ids=["one", "three", "large"])
async def test_a_request_without_traceparent_begins_a_trace(
    spans: Spans, shape: tuple[int, int]
) -> None:
    width = shape[1]
    backend = ScriptedBackend(
        lambda x: 2 * x, inputs=[tensor("x", "N", width)], outputs=[tensor("y", "N", width)]
    )
    x: Array = np.ones(shape, np.float32)
    tracer = spans.provider.get_tracer("test")
    with tracer.start_as_current_span("start of the server"):  # whose child no request is
        async with (
            running(traced(backend, spans.provider), no_application) as server,
            server.client() as client,
        ):
            for _ in range(2):
                np.testing.assert_array_equal((await client.ask(infer(x))).y, 2 * x)
    requests, batches = spans.named("infer m"), spans.named("batch m")
    assert len(requests) == len(batches) == 2
    assert all(each.parent is None for each in requests)
    assert linked(batches) == ids(requests)
    assert linked(requests) == ids(batches)
    assert [told(each, "trtasync.batch.rows") for each in requests] == [shape[0]] * 2
    for request, batch in zip(requests, batches, strict=True):
        assert None not in (request.end_time, batch.end_time)
        assert (request.end_time or 0) >= (batch.end_time or 0) - 1_000_000  # two clocks


async def test_a_request_for_a_shared_engine_begins_one_too(
    backend: ScriptedBackend, spans: Spans
) -> None:
    tracer = spans.provider.get_tracer("test")
    async with joined(backend) as shared:

        async def opened() -> AnyEngine:
            return trace_engine(await connect(shared.host.path), spans.provider)

        models = Models()
        models.add("m", opened)
        with tracer.start_as_current_span("start of the server"):
            async with running(models, no_application) as server, server.client() as client:
                np.testing.assert_array_equal((await client.ask(infer(rows([1])))).y, 2 * rows([1]))
    (request,) = spans.named("infer scripted")
    assert request.parent is None


async def test_the_sampler_decides(backend: ScriptedBackend) -> None:
    spans = Spans(sampler=ParentBased(EverySecond()))
    async with running(traced(backend, spans.provider)) as server, server.client() as client:
        for _ in range(6):
            assert (await client.ask(infer(rows([1])))).status == 200
        assert len(spans.named("infer m")) == len(spans.named("batch m")) == 3
        for _ in range(2):  # their caller has decided
            assert (await client.ask(infer(rows([1]), TRACEPARENT))).status == 200
    requests = spans.named("infer m")
    assert [each.parent is None for each in requests] == [True] * 3 + [False] * 2
    assert linked(spans.named("batch m")) == ids(requests)
    spans.provider.shutdown()


async def test_what_is_not_sampled_leaves_nothing(backend: ScriptedBackend) -> None:
    spans = Spans(sampler=ALWAYS_OFF)
    async with running(traced(backend, spans.provider)) as server, server.client() as client:
        np.testing.assert_array_equal((await client.ask(infer(rows([1])))).y, 2 * rows([1]))
    assert spans.named("infer m") == spans.named("batch m") == []
    spans.provider.shutdown()


async def test_how_requests_end(backend: ScriptedBackend, spans: Spans) -> None:
    models = traced(backend, spans.provider, max_queue_size=1)
    async with running(models, no_application) as server:
        engine = server.models.deployed("m").engine
        async with server.client() as client:
            assert (await client.ask(infer(rows([-1])))).status == 500
            (failed,) = spans.named("infer m")
            assert failed.status.status_code is StatusCode.ERROR
            assert told(failed, "error.type") == "InferenceError"
            with held(backend):
                await client.send(infer(rows([1])))
                await filled(engine, queued=0)
                async with server.client() as leaving:
                    await leaving.send(infer(rows([2])))
                    await filled(engine, queued=1)
                    async with server.client() as refused:
                        assert (await refused.ask(infer(rows([3])))).status == 429
                await until(lambda: len(spans.named("infer m")) == 2)
                async with server.client() as hasty:
                    late = await hasty.ask(infer(rows([4]), parameters={"timeout": 1000}))
                    assert late.status == 504
            assert (await client.answer()).status == 200
    _, *cancelled, answered = spans.named("infer m")
    assert [told(each, "trtasync.cancelled") for each in cancelled] == [True, True]
    assert all(each.status.status_code is StatusCode.UNSET for each in [*cancelled, answered])
    assert told(answered, "trtasync.cancelled") is None
    assert linked([failed, *cancelled]) == set()


async def test_an_engine_that_nobody_traces_is_asked_as_ever(backend: ScriptedBackend) -> None:
    async with models_of(backend) as models:
        deployment = models.deployed("m")
        assert isinstance(deployment.engine, Engine)
        assert StraightDesk(deployment.codec, deployment.engine).asked is Asked
