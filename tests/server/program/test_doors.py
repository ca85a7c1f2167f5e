"""What else a server has beside HTTP for models: gRPC, metrics, the page for people."""

from pathlib import Path

import grpc
import pytest

from support.helpers import PATIENCE
from tests.cli.support import refused
from tests.server.program.serving import ask, factor_of, serving, times
from tests.server.program.tls import certificate
from trtasync.server.program.admission import Tokens

SERVICE = "/inference.GRPCInferenceService"
TRUE = b"\x08\x01"
"""A message whose first field is true."""


def called(channel: grpc.Channel, method: str, *metadata: tuple[str, str]) -> bytes:
    """The answer to an empty request."""
    call = channel.unary_unary(f"{SERVICE}/{method}")
    with channel:
        answer: bytes = call(b"", timeout=PATIENCE, metadata=metadata)
    return answer


def code(channel: grpc.Channel, method: str, *metadata: tuple[str, str]) -> grpc.StatusCode:
    """With which a call is refused."""
    with pytest.raises(grpc.RpcError) as refused:
        called(channel, method, *metadata)
    return refused.value.code()


@pytest.mark.parametrize("workers", [1, 2])
def test_grpc_beside_http(tmp_path: Path, workers: int) -> None:
    options = ("--grpc-port", 0, "--workers", workers)
    with serving(tmp_path, times(tmp_path, 2), *options) as server:
        port = server.grpc_port
        for _ in range(4):  # whoever of the workers answers
            assert called(grpc.insecure_channel(f"127.0.0.1:{port}"), "ServerReady") == TRUE
        other = times(tmp_path, 2, "other")
        line = refused(2, "serve", other, "--port", 0, "--grpc-port", port)
        assert f"cannot listen at port {port} for gRPC" in line
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0


def test_grpc_asks_for_the_same_tokens_and_speaks_tls(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n")
    cert, key = certificate(tmp_path, "localhost")
    options = ("--grpc-port", 0, "--token-file", tokens, "--tls-cert", cert, "--tls-key", key)
    with serving(tmp_path, times(tmp_path, 2), *options) as server:
        trusted = grpc.ssl_channel_credentials(cert.read_bytes())

        def channel() -> grpc.Channel:
            return grpc.secure_channel(f"127.0.0.1:{server.grpc_port}", trusted)

        assert called(channel(), "ServerReady") == TRUE
        right, wrong = [("authorization", f"Bearer {each}") for each in ("secret", "wrong")]
        for shown in ((), (wrong,), (right, wrong)):
            for method in ("ServerMetadata", "ModelInfer", "ModelStreamInfer"):
                assert code(channel(), method, *shown) == grpc.StatusCode.UNAUTHENTICATED
        assert b"trtasync" in called(channel(), "ServerMetadata", right)
        assert code(channel(), "ModelInfer", right) != grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_and_the_page(tmp_path: Path, workers: int) -> None:
    options = ("--triton-metrics", "--workers", workers)
    with serving(tmp_path, times(tmp_path, 2), *options) as server, server.client() as client:
        assert factor_of(ask(client)) == 2
        told = client.get("/metrics").text
        assert 'trtasync_model_ready{model="m",version="1"} 1.0' in told
        assert "nv_inference_count" in told
        # of a process; that of several would go to and fro
        assert ("process_cpu_seconds_total" in told) is (workers == 1)
        assert client.get("/dashboard").headers["content-type"].startswith("text/html")
    with serving(tmp_path, times(tmp_path, 2)) as server, server.client() as client:
        assert "nv_inference_count" not in client.get("/metrics").text


def test_they_are_not_for_who_has_no_token(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n")
    options = ("--token-file", tokens)
    with serving(tmp_path, times(tmp_path, 2), *options) as server, server.client() as client:
        for path in ("/metrics", "/dashboard", "/v2/health/ready/"):
            assert client.get(path).status_code == 401


def test_tokens_are_compared_whole() -> None:
    tokens = Tokens([b"one", b"two"])
    assert tokens.know(b"Bearer two")
    assert tokens.know(b"bEARER  one ")
    for shown in (b"", b"one", b"Bearer", b"Bearer ", b"Bearer on", b"Bearer onetwo", b"Basic one"):
        assert not tokens.know(shown)
