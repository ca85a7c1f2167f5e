"""What Prometheus is told: names, values after a scripted load, and that it can read it."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge, Metric, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from starlette.routing import Route

from support.helpers import rows, until
from tests.server.serving import by_a_thread, client_of, filled, held, models_of, opener
from trtasync import DeviceLost, InferenceError, QueueFull, open_engine
from trtasync.core.metrics import Meter, TimeHistogram
from trtasync.integrations.prometheus import EngineCollector
from trtasync.server.dashboard.route import dashboard
from trtasync.server.models import Models
from trtasync.server.prometheus.families import SECONDS, Counted, families
from trtasync.server.prometheus.route import metrics
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

OWN = {
    "trtasync_batch_rows": "histogram",
    "trtasync_expired_requests": "counter",
    "trtasync_inflight_batches": "gauge",
    "trtasync_inflight_rows": "gauge",
    "trtasync_oldest_batch_seconds": "gauge",
    "trtasync_padded_rows": "counter",
    "trtasync_queue_duration_seconds": "histogram",
    "trtasync_queue_rows": "gauge",
    "trtasync_request_duration_seconds": "histogram",
    "trtasync_requests": "counter",
    "trtasync_retried_batches": "counter",
    "trtasync_rows": "counter",
    "trtasync_stage_duration_seconds": "histogram",
    "trtasync_stream_alive": "gauge",
    "trtasync_stream_batches": "counter",
    "trtasync_stream_compute_seconds": "counter",
    "trtasync_stream_measured_batches": "counter",
}
OF_A_SERVER = {"trtasync_model_batched": "gauge", "trtasync_model_ready": "gauge"}
TRITON = {
    "nv_inference_compute_infer_duration_us",
    "nv_inference_compute_input_duration_us",
    "nv_inference_compute_output_duration_us",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_pending_request_count",
    "nv_inference_queue_duration_us",
    "nv_inference_request_duration_us",
    "nv_inference_request_failure",
    "nv_inference_request_success",
}
M = {"model": "m", "version": "1"}
STREAM = {"device": "0", "stream": "0"}
IDLE = Meter().snapshot(queued=0, in_flight=0, waiting=0, rejected=0, expired=0, streams=())


class Scraped:
    """What was read."""

    def __init__(self, families: Any):
        self.families: dict[str, Metric] = {each.name: each for each in families}

    def value(self, name: str, **labels: str) -> float:
        """Of the one sample with this name and these labels, besides the model's."""
        found = [
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and sample.labels == {**M, **labels}
        ]
        assert len(found) == 1, (name, labels, found)
        return found[0]


@pytest.fixture
async def backend() -> ScriptedBackend:
    """Doubles its input; a negative number is bad."""
    backend = ScriptedBackend(lambda x: 2 * x)
    backend.bad = lambda row: row[0] < 0
    return backend


@pytest.fixture
async def models(backend: ScriptedBackend) -> Models:
    """One model "m", of whose requests at most three rows wait."""
    return models_of(backend, max_queue_size=3, max_batch_size=4)


@pytest.fixture
async def client(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """Of a server that tells it under all names, on a machine without GPUs."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    route = metrics(models, triton_names=True, registry=CollectorRegistry())
    async with client_of(models, routes=[route]) as client:
        yield client


async def load(models: Models, backend: ScriptedBackend) -> None:
    """Three requests are answered in batches of one and three rows; of each other end is one."""
    engine = models.deployed("m").engine

    async def infer(values: Sequence[float], priority: int = 0) -> None:
        await engine.infer({"x": rows(values)}, priority=priority)

    async def refused(values: Sequence[float], priority: int = 0) -> None:
        with pytest.raises(QueueFull):
            await infer(values, priority)

    async def cancelled(scope: anyio.CancelScope) -> None:
        with scope:
            await infer([1])

    with held(backend):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(infer, [1])
            await filled(engine, queued=0)
            leaving = anyio.CancelScope()
            tasks.start_soon(cancelled, leaving)
            await filled(engine, queued=1)
            leaving.cancel()
            await filled(engine, queued=0)
            tasks.start_soon(infer, [1, 2])
            await filled(engine, queued=2)
            tasks.start_soon(refused, [3], 9)  # displaced by the last one
            await filled(engine, queued=3)
            await refused([4], 9)
            tasks.start_soon(infer, [3], 1)
            await until(lambda: engine.statistics().displaced == 1)
            backend.gate.let()
    with pytest.raises(InferenceError):
        await infer([-1])


async def scraped(client: httpx.AsyncClient) -> Scraped:
    """What the server tells Prometheus."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return Scraped(read_text(response.text))


async def test_names_and_types_are_these(client: httpx.AsyncClient) -> None:
    found = (await scraped(client)).families
    assert {name: each.type for name, each in found.items()} == {
        **OWN,
        **OF_A_SERVER,
        **dict.fromkeys(TRITON, "unknown"),
    }
    assert all(each.documentation for each in found.values())


async def test_every_end_of_a_request_is_told(
    client: httpx.AsyncClient, models: Models, backend: ScriptedBackend
) -> None:
    await load(models, backend)
    found = await scraped(client)
    ends = {"answered": 3, "failed": 1, "cancelled": 1, "rejected": 1, "displaced": 1}
    for outcome, number in ends.items():
        assert found.value("trtasync_requests_total", outcome=outcome) == number
    assert found.value("trtasync_expired_requests_total") == 0
    assert found.value("nv_inference_request_success") == 3
    failures = {"REJECTED": 2, "CANCELED": 1, "BACKEND": 1, "OTHER": 0}
    for reason, number in failures.items():
        assert found.value("nv_inference_request_failure", reason=reason) == number


async def test_rows_and_batches(
    client: httpx.AsyncClient, models: Models, backend: ScriptedBackend
) -> None:
    await load(models, backend)
    found = await scraped(client)
    assert found.value("trtasync_rows_total") == found.value("nv_inference_count") == 4
    assert found.value("nv_inference_exec_count") == 2
    assert found.value("trtasync_batch_rows_count") == 2
    assert found.value("trtasync_batch_rows_sum") == 4
    below = [found.value("trtasync_batch_rows_bucket", le=le) for le in ("1.0", "2.0", "4.0")]
    assert below == [1, 1, 2]
    counted = models.deployed("m").engine.statistics()
    stream = counted.streams[0]
    assert found.value("trtasync_stream_batches_total", **STREAM) == stream.batches > 0
    assert found.value("trtasync_stream_compute_seconds_total", **STREAM) == stream.compute > 0
    assert found.value("trtasync_stream_measured_batches_total", **STREAM) == stream.measured
    assert found.value("trtasync_stream_alive", **STREAM) == 1


async def test_what_is_under_way(
    client: httpx.AsyncClient, models: Models, backend: ScriptedBackend
) -> None:
    engine = models.deployed("m").engine
    async with anyio.create_task_group() as tasks:
        with held(backend):
            tasks.start_soon(engine.infer, {"x": rows([1, 2])})
            await filled(engine, queued=0, in_flight=2)
            tasks.start_soon(engine.infer, {"x": rows([1])})
            await filled(engine, queued=1, in_flight=2)
            first, found = await scraped(client), await scraped(client)
    age = "trtasync_oldest_batch_seconds"
    assert 0 < first.value(age, **STREAM) < found.value(age, **STREAM)
    assert found.value("trtasync_inflight_rows") == 2
    assert found.value("trtasync_inflight_batches", **STREAM) == 1
    assert found.value("trtasync_queue_rows") == 1
    assert found.value("nv_inference_pending_request_count") == 1


async def test_times_are_those_of_the_engine(
    client: httpx.AsyncClient, models: Models, backend: ScriptedBackend
) -> None:
    await load(models, backend)
    found, counted = await scraped(client), models.deployed("m").engine.statistics()
    for name, labels, times in (
        ("trtasync_request_duration_seconds", {}, counted.latency),
        ("trtasync_queue_duration_seconds", {}, counted.queue),
        ("trtasync_stage_duration_seconds", {"stage": "compute"}, counted.compute),
        ("trtasync_stage_duration_seconds", {"stage": "copy_in"}, counted.copy_in),
    ):
        assert found.value(f"{name}_count", **labels) == times.count
        assert found.value(f"{name}_sum", **labels) == pytest.approx(times.total)
        assert found.value(f"{name}_bucket", le="+Inf", **labels) == times.count
    charged = found.value("nv_inference_request_duration_us")
    assert charged == pytest.approx(3e6 * counted.latency.mean, abs=1)


def test_buckets_of_times() -> None:
    """What Prometheus is told of an edge is exact: it is an edge of the engine's too."""
    assert len(SECONDS) == 18
    assert (SECONDS[0], SECONDS[-1]) == (5e-5, 6.3)
    assert all(1.9 < after / before < 2.1 for before, after in pairwise(SECONDS))
    histogram = TimeHistogram()
    for edge in SECONDS:
        histogram.add(edge)
        histogram.add(edge * 1.001)
    counted = replace(IDLE, latency=histogram.snapshot())
    found = Scraped(families([Counted("m", "1", counted)]))
    for place, edge in enumerate(SECONDS):
        below = found.value("trtasync_request_duration_seconds_bucket", le=str(edge))
        assert below == 2 * place + 1
    assert found.value("trtasync_request_duration_seconds_bucket", le="+Inf") == 36


async def test_in_openmetrics_too(client: httpx.AsyncClient) -> None:
    wanted = {"accept": "application/openmetrics-text; version=1.0.0"}
    response = await client.get("/metrics", headers=wanted)
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    found = Scraped(read_openmetrics(response.text))  # type: ignore[no-untyped-call]  # theirs
    assert set(OWN) < set(found.families)


@pytest.mark.parametrize("version", ["much", "1=2", "1..", "\xb2"])
async def test_a_format_of_no_version_is_another_one(
    client: httpx.AsyncClient, version: str
) -> None:
    """The usual one; older clients of Prometheus ignore the version."""
    wanted = f"application/openmetrics-text; version={version}".encode("latin-1")
    response = await client.get("/metrics", headers={b"accept": wanted})
    assert response.status_code == 200
    usual = response.headers["content-type"].startswith("text/plain")
    assert usual or "version=1" in response.headers["content-type"]
    read = read_text if usual else read_openmetrics
    assert {*OWN, *OF_A_SERVER} <= {each.name for each in read(response.text)}


async def test_a_model_that_is_not_ready(client: httpx.AsyncClient, models: Models) -> None:
    assert (await scraped(client)).value("trtasync_model_ready") == 1
    await models.find("m").unload()
    found = await scraped(client)
    assert found.value("trtasync_model_ready") == 0
    for name in ("trtasync_requests", "trtasync_model_batched"):
        assert not found.families[name].samples


@pytest.mark.parametrize("shares", [True, False])
async def test_whether_requests_share_batches(backend: ScriptedBackend, shares: bool) -> None:
    models = models_of(backend, batching=shares)
    async with client_of(models, routes=[metrics(models, registry=None)]) as client:
        assert (await scraped(client)).value("trtasync_model_batched") == shares


async def test_a_model_without_a_device(
    client: httpx.AsyncClient, models: Models, backend: ScriptedBackend
) -> None:
    backend.lose = True
    with pytest.raises(DeviceLost):
        await models.deployed("m").engine.infer({"x": rows([1])})
    found = await scraped(client)
    assert found.value("trtasync_model_ready") == found.value("trtasync_stream_alive", **STREAM)
    assert found.value("trtasync_model_ready") == 0


async def test_what_is_told_besides(backend: ScriptedBackend) -> None:
    """All versions, Triton's names only if they are wanted, and what others have registered."""
    models, registry = models_of(backend), CollectorRegistry()
    models.add("m", opener(ScriptedBackend()), version=2)
    Gauge("others", "Theirs.", registry=registry).set(7)
    async with client_of(models, routes=[metrics(models, registry=registry)]) as client:
        found = await scraped(client)
    assert set(found.families) == {*OWN, *OF_A_SERVER, "others"}
    versions = {each.labels["version"] for each in found.families["trtasync_rows"].samples}
    assert versions == {"1", "2"}


async def test_engines_in_a_registry(backend: ScriptedBackend) -> None:
    registry = CollectorRegistry()
    async with open_engine(backend) as engine:
        registry.register(EngineCollector({"m": engine}, triton_names=True))
        await engine.infer(rows([1, 2]))
        found = Scraped(read_text(generate_latest(registry).decode()))
        assert set(found.families) == {*OWN, *TRITON}
        assert found.value("trtasync_rows_total") == found.value("nv_inference_count") == 2
        with pytest.raises(ValueError, match="Duplicated"):
            registry.register(EngineCollector({"other": engine}))


@pytest.mark.parametrize("route", [metrics, dashboard])
async def test_pages_are_written_beside_the_loop(
    route: Callable[[Models], Route], backend: ScriptedBackend
) -> None:
    """They take a millisecond for each model."""
    models = models_of(backend)
    async with client_of(models, routes=[route(models)]) as client:
        response = await by_a_thread(lambda: client.get(route(models).path))
        assert response.status_code == 200
