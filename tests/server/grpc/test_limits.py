"""What a client may use."""

from pathlib import Path

import grpc
import numpy as np
import pytest

from support.helpers import rows, tensor
from tests.server.grpc.clients import connected, raw, refused, request, serving
from tests.server.program.tls import certificate
from tests.server.serving import filled, held, models_of
from trtasync.server.grpc import GrpcServer, Limits
from trtasync.server.grpc.calls import LONGEST_REQUEST
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

MOST = 1 << 16
ROOM = 1 << 10
"""Bytes of a request beside its tensor, at most."""


def wide() -> ScriptedBackend:
    """A model of rows of any length."""
    inputs, outputs = [tensor("x", "N", "W")], [tensor("y", "N", "W")]
    return ScriptedBackend(lambda x: 2 * x, inputs=inputs, outputs=outputs)


@pytest.mark.parametrize("compression", list(grpc.Compression))
async def test_the_bytes_of_a_request(compression: grpc.Compression) -> None:
    """Before and after decompression: zeros shrink to a thousandth."""
    async with serving(models_of(wide()), limits=Limits(message=MOST)) as client:
        fits = request(np.zeros((1, (MOST - ROOM) // 4), np.float32))
        answer = await client.infer(fits, compression=compression)
        assert len(answer.raw_output_contents[0]) == MOST - ROOM
        many = request(np.zeros((1, MOST // 2), np.float32))
        await refused(client.infer(many, compression=compression), "RESOURCE_EXHAUSTED")
        assert await client.infer(fits)


async def test_an_answer_may_be_larger_than_any_request() -> None:
    backend = ScriptedBackend(
        lambda x: np.repeat(x, 1 << 12, axis=1), outputs=[tensor("y", "N", 4 << 12)]
    )
    async with serving(models_of(backend), limits=Limits(message=MOST)) as client:
        answer = await client.infer(request(rows([1, 2])))
        assert len(answer.raw_output_contents[0]) == 2 * 4 * (4 << 12)


@pytest.mark.parametrize("method", ["ServerLive", "ModelMetadata", "RepositoryModelLoad"])
async def test_the_bytes_of_a_request_without_tensors(
    method: str, backend: ScriptedBackend
) -> None:
    async with serving(models_of(backend)) as client:
        call = client.send(method, b"\x12\1m" * LONGEST_REQUEST)
        assert "has at most" in (await refused(call, "INVALID_ARGUMENT")).details()
        assert await client.infer(request(rows([1])))


async def test_calls_at_once(backend: ScriptedBackend) -> None:
    models = models_of(backend)
    async with serving(models, limits=Limits(calls=1)) as client:
        with held(backend):
            call = client.infer(request(rows([1])))
            await filled(models.deployed("m").engine, queued=0)
            await refused(client.infer(request(rows([2]))), "RESOURCE_EXHAUSTED")
        assert (await call).raw_output_contents[0] == raw(2)


async def test_tls(tmp_path: Path, backend: ScriptedBackend) -> None:
    cert, key = certificate(tmp_path, "localhost")
    server_side = grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])
    client_side = grpc.ssl_channel_credentials(cert.read_bytes())
    models = models_of(backend)
    async with models, GrpcServer(models).listening("127.0.0.1:0", server_side) as port:
        async with connected(port, client_side) as client:
            assert (await client.infer(request(rows([1])))).raw_output_contents[0] == raw(2)
        async with connected(port) as client:
            await refused(client.infer(request(rows([1]))), "UNAVAILABLE")
