"""Triton's clients give up: what they asked for is withdrawn."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.helpers import PATIENCE, rows
from tests.server.grpc.loops import ONE
from tests.server.program.serving import until
from tests.server.serving import served

http = pytest.importorskip("tritonclient.http")
http_aio = pytest.importorskip("tritonclient.http.aio")
grpc = pytest.importorskip("tritonclient.grpc")
grpc_aio = pytest.importorskip("tritonclient.grpc.aio")
ServerError = pytest.importorskip("tritonclient.utils").InferenceServerException

X = rows([1])


class Server(NamedTuple):
    """It has a model "m", which waits for more requests than come, and a busy one.

    Attributes:
        http: where it is.
        grpc: likewise.
    """

    http: str
    grpc: str

    def told(self, metric: str, model: str = "m", **labels: str) -> float:
        """What it tells of a model."""
        labels = {**labels, "model": model}
        text = httpx.get(f"http://{self.http}/metrics", timeout=PATIENCE, trust_env=False).text
        (value,) = (
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )
        return value

    @property
    def waiting(self) -> float:
        """Rows that wait."""
        return self.told("nv_inference_pending_request_count")

    @property
    def cancelled(self) -> float:
        """Requests that were withdrawn."""
        return self.told("nv_inference_request_failure", reason="CANCELED")


@pytest.fixture(params=ONE, scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """The aio clients are for asyncio."""
    return request.param


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """In a process of its own."""
    with served("tests.server.patient_server") as places:
        yield Server(*places.split())


def given(client: Any) -> list[Any]:
    """One row."""
    tensor = client.InferInput("x", [1, 4], "FP32")
    tensor.set_data_from_numpy(X)
    return [tensor]


def test_over_http(server: Server) -> None:
    """The client of threads cannot be cancelled, but gives up in the end."""
    before = server.cancelled

    def is_withdrawn() -> bool:
        impatient = http.InferenceServerClient(server.http, network_timeout=0.5)
        with impatient as client, pytest.raises(TimeoutError):
            client.infer("m", given(http))
        return server.cancelled > before  # unless it gave up before the server had read it

    until(is_withdrawn)
    until(lambda: server.waiting == 0)


def test_over_grpc(server: Server) -> None:
    before = server.cancelled
    answers: list[Any] = []
    with grpc.InferenceServerClient(server.grpc) as client:
        call = client.async_infer(
            "m", given(grpc), callback=lambda result, error: answers.append(error)
        )
        until(lambda: server.waiting == 1)
        call.cancel()
        until(lambda: bool(answers))
    assert isinstance(answers[0], ServerError)
    until(lambda: server.cancelled > before and server.waiting == 0)


def test_a_deadline_over_grpc(server: Server) -> None:
    """Of the busy model, since the patient one would run what cannot wait any longer."""
    with grpc.InferenceServerClient(server.grpc) as client:
        running = client.async_infer("busy", given(grpc), callback=lambda result, error: None)
        until(lambda: server.told("trtasync_inflight_rows", model="busy") == 1)
        with pytest.raises(ServerError) as late:
            client.infer("busy", given(grpc), client_timeout=0.5)
        assert late.value.status() == "StatusCode.DEADLINE_EXCEEDED"  # whoever noticed it first
        until(lambda: server.told("trtasync_queue_rows", model="busy") == 0)
        running.cancel()


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [http, grpc])
async def test_over_the_aio_clients(server: Server, kind: Any) -> None:
    before = server.cancelled
    aio = http_aio if kind is http else grpc_aio
    url = server.http if kind is http else server.grpc
    async with aio.InferenceServerClient(url) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.infer, "m", given(kind))
        await _until(lambda: server.waiting == 1)
        tasks.cancel_scope.cancel()
    await _until(lambda: server.cancelled > before and server.waiting == 0)


async def _until(condition: Callable[[], bool]) -> None:
    await anyio.to_thread.run_sync(until, condition)
