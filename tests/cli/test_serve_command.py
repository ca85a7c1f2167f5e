"""`trtasync serve`: real processes, asked over real HTTP."""

import logging
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from support.helpers import PATIENCE
from tests.cli.support import refused, run
from tests.server.program.serving import (
    Server,
    X,
    ask,
    factor_of,
    serving,
    times,
    until,
)
from tests.server.program.tls import certificate, trusting

HEALTH = "/v2/health/ready"


def ended(server: Server, by: signal.Signals = signal.SIGTERM) -> int:
    """Its exit code, when a signal has told it to end."""
    server.process.send_signal(by)
    return server.process.wait(PATIENCE)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_model_is_served_until_a_signal_comes(
    tmp_path: Path, workers: int, by: signal.Signals
) -> None:
    with serving(tmp_path, times(tmp_path, 2), "--workers", workers) as server:
        assert server.said.startswith(f"process {server.process.pid} serves m at {server.url}; ")
        with server.client() as client:
            assert client.get(HEALTH).status_code == 200
            for _ in range(3):
                assert factor_of(ask(client)) == 2
        assert ended(server, by) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}{HEALTH}", trust_env=False)
    log = server.log.read_text()
    assert "Traceback" not in log
    *_, begun, end = log.splitlines()
    assert f"{by.name}: draining, which takes at most 30 s" in begun
    assert end.endswith(": ended")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_what_it_says_can_be_pasted(tmp_path: Path) -> None:
    with serving(tmp_path, times(tmp_path, 2)) as server:
        _, line = server.said.splitlines()
        assert shlex.split(line)[:2] == ["curl", "-s"]
        done = subprocess.run(line, shell=True, capture_output=True, check=True, timeout=PATIENCE)
        assert b'"data":[0.0,0.0,0.0,0.0]' in done.stdout


def test_several_models_have_the_names_of_their_files(tmp_path: Path) -> None:
    other = times(tmp_path, 3, "other")
    with serving(tmp_path, times(tmp_path, 2), other) as server, server.client() as client:
        assert "serves m, other at" in server.said
        assert factor_of(ask(client, "other")) == 3


def test_options_reach_the_engine_and_the_server(tmp_path: Path) -> None:
    options = ("--max-queue-size", 2, "--max-body", "1KiB", "--max-connections", 1)
    with serving(tmp_path, times(tmp_path, 2), *options) as server, server.client() as client:
        rows = {"name": "x", "datatype": "FP32", "shape": [3, 4], "data": 3 * X}
        assert client.post("/v2/models/m/infer", json={"inputs": [rows]}).status_code == 413
        long = {"inputs": [rows | {"data": 3 * X, "parameters": {"p": 2000 * "x"}}]}
        assert client.post("/v2/models/m/infer", json=long).status_code == 413
    with serving(tmp_path, times(tmp_path, 2), *options) as server, server.client() as client:
        assert client.get(HEALTH).status_code == 200
        with server.client() as second:
            assert second.get(HEALTH).status_code == 503


def test_only_this_machine_reaches_it_unless_it_is_told(tmp_path: Path) -> None:
    model = times(tmp_path, 2)
    with serving(tmp_path, model) as server:
        assert "//127.0.0.1:" in server.url
        assert "requires no token" not in server.log.read_text()
    with serving(tmp_path, model, "--host", "0.0.0.0") as server:
        assert "//127.0.0.1:" in server.url
        assert "requires no token" in server.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_clients_without_a_token_are_not_let_in(tmp_path: Path, workers: int) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# two of them\nfirst-token\n\nsecond-token\n")
    options = ("--token-file", tokens, "--workers", workers)
    with serving(tmp_path, times(tmp_path, 2), *options) as server, server.client() as client:
        assert client.get(HEALTH).status_code == 200
        assert client.get("/v2/health/live?x").status_code == 200
        for shown in (None, "Basic first-token", "Bearer first", "Bearer first-tokens", "Bearer"):
            for response in (ask(client, token=shown), client.get("/v2")):
                assert response.status_code == 401
                assert response.headers["www-authenticate"] == "Bearer"
                assert list(response.json()) == ["error"]
        for token in ("first-token", "second-token"):
            assert factor_of(ask(client, token=f"bearer {token}")) == 2
        assert "Authorization: Bearer TOKEN" in server.said
        tokens.write_text("third-token\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: ask(client, token="Bearer first-token").status_code == 401)
        tokens.write_text("")
        server.process.send_signal(signal.SIGHUP)
        server.told("holds no token")
        until(lambda: ask(client, token="Bearer third-token").status_code == 200)


def test_tls_and_another_certificate_later(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "first")
    other, other_key = certificate(tmp_path, "other")
    trusted = trusting(other)
    options = ("--tls-cert", cert, "--tls-key", key)
    with serving(tmp_path, times(tmp_path, 2), *options) as server:
        assert server.url.startswith("https://")
        assert "--cacert" in server.said
        with server.client(verify=trusting(cert)) as client:
            assert factor_of(ask(client)) == 2
            cert.write_bytes(other.read_bytes())  # and not its key yet
            server.process.send_signal(signal.SIGHUP)
            server.told("belong together")
            key.write_bytes(other_key.read_bytes())
            server.process.send_signal(signal.SIGHUP)

            def is_other() -> bool:
                try:
                    with server.client(verify=trusted) as another:
                        return factor_of(ask(another)) == 2
                except httpx.ConnectError:
                    return False

            until(is_other)
            assert factor_of(ask(client)) == 2  # on the connection that it has


def test_a_service_manager_is_told(tmp_path: Path) -> None:
    model = times(tmp_path, 2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0trtasync-serve-test-{os.getpid()}")
        manager.settimeout(PATIENCE)
        place = "@" + manager.getsockname()[1:].decode()
        with serving(tmp_path, model, NOTIFY_SOCKET=place, WATCHDOG_USEC="200000") as server:
            heard = {manager.recv(100) for _ in range(2)}
            assert heard == {b"READY=1", b"WATCHDOG=1"}
            server.process.send_signal(signal.SIGTERM)
            while (word := manager.recv(100)) != b"STOPPING=1":
                assert word == b"WATCHDOG=1"
            assert server.process.wait(PATIENCE) == 0


# -- what makes no sense ---------------------------------------------------------------------------


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    model = times(tmp_path, 2)
    file = tmp_path / "models.toml"
    file.write_text("[[models]]\npath = 'm.onnx'\nstreams = 0\n")
    assert "say which models are to be served" in refused(2, "serve")
    assert "not both" in refused(2, "serve", model, "--config", file)
    assert "models[0]: streams must be" in refused(2, "serve", "--config", file)
    assert "cannot be read: No such" in refused(2, "serve", "--config", tmp_path / "no.toml")
    assert "has version 1 already. Names can be given in" in refused(2, "serve", model, model)
    spaced = model.rename(tmp_path / "a model.onnx")
    assert "cannot be named 'a model'" in refused(2, "serve", spaced)
    spaced.rename(model)
    for option, value, words in [
        ("--port", 70000, "--port: expected int <= 65535."),
        ("--workers", 0, "--workers: expected int >= 1."),
        ("--max-connections", 0, "--max-connections: expected int >= 1."),
        ("--max-body", "big", "'big' is not a size"),
        ("--grace", "soon", "grace takes a time such as"),
        ("--drain", "later", "drain takes a time such as"),
        ("--streams", 0, "streams must be"),
        ("--max-queue-delay", "x", "max_queue_delay takes a time"),
        ("--cache-owner", "root", "give both"),
        ("--tls-cert", model, "give both"),
        ("--token-file", tmp_path / "none", "cannot be read: No such file"),
        ("--host", "192.0.2.1", "cannot listen at 192.0.2.1, port 0: "),
        ("--host", "no..name", "cannot listen at no..name"),
    ]:
        assert words in refused(2, "serve", model, "--port", 0, option, value)
    blanks = tmp_path / "tokens"
    blanks.write_text("good\nnot good\n")
    assert "token 2 in" in refused(2, "serve", model, "--port", 0, "--token-file", blanks)
    for pair in ((model, model), (model, tmp_path / "none")):
        options = ("--tls-cert", pair[0], "--tls-key", pair[1])
        assert "TLS" in refused(2, "serve", model, "--port", 0, *options)
    assert (
        "none.onnx is not a file"
        in run("serve", tmp_path / "none.onnx", "--port", 0, code=4).stderr
    )


def test_who_runs_it_in_a_test_finds_the_process_as_it_was(tmp_path: Path) -> None:
    def state() -> tuple[object, ...]:
        loggers = [logging.getLogger(), logging.getLogger("trtasync")]
        told = [(logger.level, *logger.handlers) for logger in loggers]
        return (*told, resource.getrlimit(resource.RLIMIT_NOFILE))

    before = state()
    refused(2, "serve", times(tmp_path, 2), "--host", "no..name", "--port", 0)
    assert state() == before


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_cannot_be_opened_is_one_line(tmp_path: Path, workers: int) -> None:
    broken = tmp_path / "m.onnx"
    broken.write_bytes(b"no model")
    with serving(tmp_path, broken, "--workers", workers) as server:
        assert server.process.wait(PATIENCE) == 4
    last = server.log.read_text().splitlines()[-1]
    assert last.startswith("trtasync: ")
    assert "m.onnx" in last
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken(tmp_path: Path, workers: int) -> None:
    """Also by a server whose own workers share it."""
    model = times(tmp_path, 2)
    with serving(tmp_path, model, "--workers", 2) as server:
        port = int(server.url.rpartition(":")[2])
        line = refused(2, "serve", model, "--port", port, "--workers", workers)
        assert re.search(rf"cannot listen at 127\.0\.0\.1, port {port}: .*in use", line)
