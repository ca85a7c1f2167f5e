"""`trtasync bench --url`, against all of our doors in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from support.helpers import PATIENCE
from tests.server.program.serving import serving, times
from tests.server.program.tls import certificate
from tests.server.serving import served
from trtasync.cli import app
from trtasync.measure import Closed, Inputs, Load, Open, Settings, run
from trtasync.server.remote.subject import Remote

QUICK = ["--seconds", "0.1", "--warm-up", "0.02", "--rounds", "1", "-q"]


@pytest.fixture(scope="module", params=["fast_server", "uvicorn_server", "grpc_server"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where it serves."""
    with served(f"tests.server.{request.param}") as place:
        yield f"{'grpc' if request.param == 'grpc_server' else 'http'}://{place}"


def bench(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["bench", *arguments], env={"COLUMNS": "200"})


def test_tables(url: str) -> None:
    done = bench("double", "--url", url, "-c", "1,4", "--rate", "50", *QUICK)
    assert done.exit_code == 0, done.output
    for word in ("1 caller", "4 callers", "50/s", "p99", f"at {url}"):
        assert word in done.stdout
    (columns,) = (line for line in done.stdout.splitlines() if line.startswith("load "))
    assert columns.split() == ["load", "requests/s", "CPU", "us", "each"]
    for table in ("us by stage", "batches by rows"):
        assert table not in done.stdout


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_figures(url: str, loop: Any) -> None:
    if loop == "trio" and url.startswith("grpc"):
        pytest.skip("grpcio knows asyncio only")
    loads: list[Load] = [Closed(4), Open(100.0)]
    inputs = Inputs(rows=3)
    # no warm-up, which the open load might not outlast on a machine that is held up meanwhile
    settings = Settings(loads=loads, seconds=0.2, warm_up=0.0, rounds=1, inputs=inputs, loop=loop)
    report = run(Remote(url, "pair"), settings)
    assert report.ended == "complete"
    assert report.parameters["url"] == url
    assert report.parameters["rows"] == 3
    closed, open_ = report.points
    assert (closed.median("requests_per_second") or 0) > 0
    assert closed.median("rows_per_second") == pytest.approx(
        3 * (closed.median("requests_per_second") or 0), rel=1e-3
    )
    assert open_.median("offered_per_second") == 100
    for point in (closed, open_):
        assert point.median("failed") == point.median("refused") == 0
        assert (point.median("latency_p50_us") or 0) > 0


@pytest.mark.parametrize("model", ["bool", "float16", "uint64", "double/versions/2"])
def test_dtypes_and_versions(url: str, model: str) -> None:
    done = bench(model, "--url", url, "-c", "2", "--json", "-", *QUICK)
    assert done.exit_code == 0, done.output
    (point,) = json.loads(done.stdout)["points"]
    assert point["figures"]["failed"]["max"] == 0
    assert point["figures"]["requests"]["median"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["models/double.onnx"], 2, "such as 'double'"),
        (["nothing"], 2, "no model 'nothing'"),
        (["bfloat16"], 2, "BF16"),
        (["double", "--streams", "2", "--compare"], 2, "--compare, --streams"),
        (["double", "--trace", "trace.json"], 2, "--trace"),
    ],
)
def test_refusals(url: str, arguments: list[str], code: int, words: str) -> None:
    done = bench(*arguments, "--url", url, *QUICK)
    assert done.exit_code == code, done.output
    assert words in done.stderr


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_no_server(scheme: str) -> None:
    done = bench("double", "--url", f"{scheme}://127.0.0.1:1", *QUICK)
    assert done.exit_code == 3, done.output
    assert "127.0.0.1:1" in done.stderr


def test_no_url() -> None:
    done = bench("double", "--url", "ftp://127.0.0.1:1", *QUICK)
    assert done.exit_code == 2, done.output


def test_grpc_is_for_asyncio() -> None:
    done = bench("double", "--url", "grpc://127.0.0.1:1", "--loop", "trio", *QUICK)
    assert done.exit_code == 2, done.output
    assert "asyncio and uvloop only" in done.stderr


def test_a_token(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# of the server\nsecret\nother\n")
    model = times(tmp_path, 2)
    with serving(tmp_path, model, "--grpc-port", 0, "--token-file", tokens) as server:
        for url in (server.url, f"grpc://127.0.0.1:{server.grpc_port}"):
            refused = bench("m", "--url", url, *QUICK)
            assert refused.exit_code == 2, refused.output
            assert "wants a token" in refused.stderr
            done = bench("m", "--url", url, "--token-file", str(tokens), "--json", "-", *QUICK)
            assert done.exit_code == 0, done.output
            assert "secret" not in done.output
            (point, *_) = json.loads(done.stdout)["points"]
            assert point["figures"]["requests"]["median"] > 0
            assert point["figures"]["failed"]["max"] == 0


def test_tls(tmp_path: Path) -> None:
    """With what signs servers named as docs/benchmarking.md says, which grpcio reads only once."""
    cert, key = certificate(tmp_path, "server")
    trust = {"SSL_CERT_FILE": str(cert), "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(cert)}
    doors = ("--grpc-port", 0, "--tls-cert", cert, "--tls-key", key)
    with serving(tmp_path, times(tmp_path, 2), *doors) as server:
        secure = f"grpcs://127.0.0.1:{server.grpc_port}"
        for url in (server.url, secure):
            assert url.startswith(("https:", "grpcs:"))
            done = bench_by_itself("m", "--url", url, "--json", "-", *QUICK, **trust)
            assert done.returncode == 0, done.stderr
            (point, *_) = json.loads(done.stdout)["points"]
            assert point["figures"]["requests"]["median"] > 0
            assert point["figures"]["failed"]["max"] == 0
        done = bench_by_itself("m", "--url", secure, *QUICK)  # trusts nobody here
        assert done.returncode == 3, done.stdout
        assert "no server answers at 127.0.0.1" in done.stderr


def bench_by_itself(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own."""
    command = [sys.executable, "-m", "trtasync", "bench", *arguments]
    environment = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_a_token_is_for_a_server() -> None:
    done = bench("m.onnx", "--token-file", "tokens")
    assert done.exit_code == 2
    assert "--url" in done.stderr
