"""Models that change while they are asked, servers that end while they are: nothing is lost."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from support.helpers import PATIENCE
from support.onnx_models import FLOAT, node, value, write_model
from tests.server.program.serving import (
    Server,
    ask,
    children,
    factor_of,
    serving,
    times,
    until,
)
from tests.shared.processes import is_there
from trtasync.server.program.opening import Manner, Source
from trtasync.server.program.settings import EngineSettings, Served
from trtasync.tracing.exporting import Tracing

CLIENTS = 6


class Clients:
    """They ask again and again, each over a connection of its own.

    Attributes:
        seen: per client the factors that it was answered.
        faults: what was no answer.
    """

    def __init__(self, server: Server, until_not_ready: bool = False):
        self.seen: list[list[float]] = [[] for _ in range(CLIENTS)]
        self.faults: list[object] = []
        self._server = server
        self._heeds_readiness = until_not_ready
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(seen,), daemon=True) for seen in self.seen
        ]

    def _ask(self, seen: list[float]) -> None:
        with self._server.client() as client:
            while not self._stop.is_set():
                try:
                    if self._heeds_readiness and client.get("/v2/health/ready").status_code == 503:
                        return
                    seen.append(factor_of(ask(client)))
                except Exception as error:
                    self.faults.append(error)
                    return

    def begin(self) -> None:
        """All at once."""
        for thread in self._threads:
            thread.start()

    def end(self, *, told: bool = True) -> None:
        """Wait for all of them; `told`: to end now."""
        if told:
            self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def all_see(self, factor: float) -> None:
        """Wait until each has been answered so."""
        until(lambda: bool(self.faults) or all(seen[-1:] == [factor] for seen in self.seen))
        assert self.faults == []


@contextmanager
def asked(server: Server) -> Iterator[Clients]:
    """By clients none of whom may be left without an answer."""
    clients = Clients(server)
    clients.begin()
    try:
        yield clients
    finally:
        clients.end()
    assert clients.faults == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_is_replaced_under_load(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, times(tmp_path, 2), "--workers", workers) as server:
        with asked(server) as clients:
            clients.all_see(2)
            times(tmp_path, 3)
            clients.all_see(3)
            (tmp_path / "m.onnx").write_bytes(b"no model")  # and in place
            server.told("is not loaded, and the one before goes on")
            assert all(seen[-1] == 3 for seen in clients.seen)
            times(tmp_path, 5)
            clients.all_see(5)
        for seen in clients.seen:
            if workers == 1:
                assert seen == sorted(seen)
            assert set(seen) == {2, 3, 5}
        assert "Traceback" not in server.log.read_text()


@pytest.mark.anyio
async def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    """Nothing is tried between two looks that differ."""
    path, whole = times(tmp_path, 2), times(tmp_path, 3, "other").read_bytes()
    source = Source(Served("m", 1, str(path), EngineSettings()), Manner(False, None, Tracing(None)))
    await (await source.open()).aclose()
    with path.open("wb") as file:
        for byte in whole:
            file.write(bytes([byte]))
            file.flush()
            assert not await source.has_changed()
    assert await source.has_changed()
    async with aclosing(await source.open()) as engine:
        assert (await engine.infer(np.ones(4, np.float32))).tolist() == [3] * 4
    assert not await source.has_changed()


def failing(folder: Path) -> Path:
    """A model that opens, and fails on every request: no four numbers can be made rows of three."""
    made = write_model(
        folder / "bad.new",
        [node("Reshape", ["x", "shape"], ["y"])],
        [value("x", FLOAT, ["N", 4])],
        [value("y", FLOAT, ["N", 3])],
        {"shape": np.array([-1, 3], np.int64)},
    )
    return made.replace(folder / "m.onnx")


def test_a_model_that_fails_where_the_one_before_answered_is_not_taken(tmp_path: Path) -> None:
    with serving(tmp_path, times(tmp_path, 2), "--batching", "on") as server:
        failing(tmp_path)
        server.told("is not loaded, and the one before goes on")
        assert "fails on a request of random numbers" in server.log.read_text()
        with server.client() as client:
            assert factor_of(ask(client)) == 2


def test_a_model_that_fails_on_random_numbers_is_served_at_first(tmp_path: Path) -> None:
    """Its clients may know better ones."""
    with (
        serving(tmp_path, failing(tmp_path), "--batching", "on") as server,
        server.client() as client,
    ):
        assert "fails on a request of random numbers" in server.log.read_text()
        assert ask(client).status_code == 500
        times(tmp_path, 3)
        until(lambda: ask(client).status_code == 200)
        assert factor_of(ask(client)) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_the_configuration_is_read_again(tmp_path: Path, workers: int) -> None:
    times(tmp_path, 2)
    times(tmp_path, 7, "other")
    config = tmp_path / "models.toml"
    model = "[[models]]\npath = 'm.onnx'\n"
    config.write_text(f"{model}[aliases]\nnow = 'm'\n")
    with (
        serving(tmp_path, "--config", config, "--workers", workers) as server,
        asked(server),
        server.client() as client,
    ):
        assert factor_of(ask(client, "now")) == 2

        def order(text: str) -> None:
            config.write_text(text)
            server.process.send_signal(signal.SIGHUP)

        order(f"{model}[[models]]\nname = 'm'\nversion = 2\npath = 'other.onnx'\n")
        until(lambda: ask(client, "now").status_code == 404)
        order(f"{model}[[models]]\npath = 'other.onnx'\n[aliases]\nnow = 'other'\n")
        until(lambda: ask(client, "now").status_code == 200)
        assert factor_of(ask(client, "now")) == 7
        order(f"{model}[aliases]\nnow = 'nobody'\n")
        server.told("there is no such model")
        assert factor_of(ask(client, "now")) == 7
        order(f"{model}[[models]]\npath = 'none.onnx'\n[aliases]\nnow = 'm'\n")
        server.told("is not loaded, and is left out")
        until(lambda: ask(client, "now").status_code == 200 and factor_of(ask(client, "now")) == 2)
        until(lambda: ask(client, "other").status_code == 404)
        assert client.get("/v2/health/ready").status_code == 200
        order(f"[server]\ndrain = 1\n{model}")
        server.told("take effect only after a restart")


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_leaves_nobody_without_an_answer(tmp_path: Path, workers: int) -> None:
    """Who looks whether it is ready, as a balancer does, sees no failure at all."""
    options = ("--workers", workers, "--grace", "60s")
    with serving(tmp_path, times(tmp_path, 2), *options) as server:
        clients = Clients(server, until_not_ready=True)
        clients.begin()
        clients.all_see(2)
        server.process.send_signal(signal.SIGTERM)
        clients.end(told=False)
        assert clients.faults == []
        server.process.send_signal(signal.SIGTERM)  # nobody is left
        assert server.process.wait(PATIENCE) == 130


def test_a_request_that_is_half_here_is_answered_after_sigterm(tmp_path: Path) -> None:
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}'
    head = b"POST /v2/models/m/infer HTTP/1.1\r\nhost: m\r\ncontent-length: %d\r\n\r\n" % len(body)
    with serving(tmp_path, times(tmp_path, 2), "--grace", "0.1") as server:
        host, port = httpx.URL(server.url).host, httpx.URL(server.url).port
        assert port is not None
        with socket.create_connection((host, port), PATIENCE) as end:
            end.sendall(head + body[:10])
            server.process.send_signal(signal.SIGTERM)

            def is_shut() -> bool:
                try:
                    socket.create_connection((host, port), PATIENCE).close()
                except ConnectionError:
                    return True
                return False

            until(is_shut)
            end.sendall(body[10:])
            said = b""
            while more := end.recv(4096):
                said += more
        assert said.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in said
        assert b"[2.0,4.0,6.0,8.0]" in said
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_does_not_wait(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, times(tmp_path, 2), "--grace", 60, "--workers", workers) as server:
        with server.client() as client:
            server.process.send_signal(signal.SIGINT)
            until(lambda: client.get("/v2/health/ready").status_code == 503)
            assert factor_of(ask(client)) == 2
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 130


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, times(tmp_path, 2), "--workers", 2) as server:
        first, second = children(server.process.pid)
        os.kill(first, signal.SIGKILL)
        server.told("ended with SIGKILL; another one is started")
        until(lambda: len(children(server.process.pid) - {first}) == 2)
        for _ in range(20):  # whoever of the two is asked
            with server.client() as client:
                assert factor_of(ask(client)) == 2
        assert second in children(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


def listening(server: Server) -> int:
    """Sockets that listen at its port."""
    port = server.url.rpartition(":")[2]
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    found = [(int(local.partition(":")[2], 16), state) for _, local, _, state, *_ in lines]
    return found.count((int(port), "0A"))


def test_clients_do_not_wait_for_a_worker_that_cannot_serve(tmp_path: Path) -> None:
    with serving(tmp_path, times(tmp_path, 2), "--workers", 2) as server:
        (tmp_path / "m.onnx").write_bytes(b"no model")
        server.told("is not loaded, and the one before goes on")
        os.kill(min(children(server.process.pid)), signal.SIGKILL)
        server.told("cannot serve")
        until(lambda: listening(server) == 1)
        for _ in range(20):
            with server.client() as client:
                assert factor_of(ask(client)) == 2
        times(tmp_path, 3)
        until(lambda: listening(server) == 2)
        with server.client() as client:
            until(lambda: factor_of(ask(client)) == 3)


def test_an_engine_process_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, times(tmp_path, 2), "--workers", 2) as server, server.client() as client:
        assert factor_of(ask(client)) == 2
        workers = children(server.process.pid)
        (engine,) = set().union(*map(children, workers))
        os.kill(engine, signal.SIGKILL)

        def is_back() -> bool:
            response = ask(client)
            assert response.status_code in (200, 503)
            return response.status_code == 200

        until(is_back)
        until(lambda: client.get("/v2/health/ready").status_code == 200)
        assert children(server.process.pid) == workers


def test_workers_do_not_outlive_who_started_them(tmp_path: Path) -> None:
    with serving(tmp_path, times(tmp_path, 2), "--workers", 2) as server:
        workers = children(server.process.pid)
        server.process.kill()
        server.process.wait(PATIENCE)
        until(lambda: not any(map(is_there, workers)))
