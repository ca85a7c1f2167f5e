"""`trtasync host`: models served to other processes, and asked how they are."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.doubles.child import ROOT
from support.helpers import PATIENCE
from tests.cli.support import refused, run, told
from tests.host.processes import connected, product
from tests.shared.processes import sockets, wait_for
from trtasync import connect, open_engine
from trtasync.shared.places import VARIABLE, runtime_folder
from trtasync.shared.records import Op

pytestmark = pytest.mark.anyio

KILLED = "killed"
"""A host that has left its socket behind."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: Any) -> str:
    """Of the client."""
    name: str = request.param
    return name


@contextmanager
def host(*arguments: object, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, when it serves; and the line that says so."""
    command = [sys.executable, "-m", "trtasync", "host", *map(str, arguments)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


async def test_models_are_served_until_it_is_told_to_end(tmp_path: Path) -> None:
    other = product(tmp_path, 4).rename(tmp_path / "other.onnx")
    path = tmp_path / "there" / "host.sock"
    with host(product(tmp_path), other, "--socket", path, "--batching", "on") as (process, line):
        assert line == f"process {process.pid} serves 2 models at {path}\n"
        async with connect(path, "other") as engine:
            x = np.ones(4, np.float32)
            assert (await engine.infer(x)).shape == (3,)
            status = told("host", "--status", "--socket", path)
            assert status["models"]["other"]["requests"] == 1
            assert [client["pid"] for client in status["clients"]] == [os.getpid(), os.getpid()]
            assert "other" in run("host", "--status", "--socket", path).stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert not path.exists()


async def test_a_service_manager_gives_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    given = host(product(tmp_path), "--batching", "on", RUNTIME_DIRECTORY=f"{folder}:/other")
    with given as (_, line):
        assert line.endswith(f" at {folder}/host.sock\n")


async def test_what_clients_may_share_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "host.sock"
    bounds = ("--client-memory", "1MiB", "--total-memory", "1.5MiB")
    with host(product(tmp_path), "--batching", "on", "--socket", path, *bounds):
        first, second = connected(path), connected(path)
        assert (await first.greet()).most_bytes == 1 << 20
        await first.share(1, 1 << 20)
        await second.greet()
        second.announce(1, 1 << 20)
        assert "all clients together" in str(await second.refusal(Op.MAPPED))
        first.close()
        second.close()


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    model = product(tmp_path)
    assert "which models" in refused(2, "host")
    assert "which has its models" in refused(2, "host", model, "--status")
    assert "--json goes with --status" in refused(2, "host", model, "--json", "-")
    nowhere = tmp_path / "nowhere.sock"
    assert "no engine process listens" in refused(3, "host", "--status", "--socket", nowhere)


def test_a_folder_of_everybody_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    line = refused(
        2, "host", product(tmp_path), "--batching", "on", "--socket", tmp_path / "host.sock"
    )
    assert "who could stand in for the engine process" in line


def test_status_as_json_is_what_the_host_told(tmp_path: Path) -> None:
    path = tmp_path / "host.sock"
    out = tmp_path / "status.json"
    with host(product(tmp_path), "--socket", path, "--batching", "on") as (process, _):
        run("host", "--status", "--socket", path, "--json", out)
        assert json.loads(out.read_text())["pid"] == process.pid


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of their own; sockets have short paths. They end by themselves."""
    with tempfile.TemporaryDirectory(prefix="trtasync-") as folder:
        monkeypatch.setenv(VARIABLE, f"{folder}/run")
        yield
        wait_for(lambda: {each.stem for each in sockets(runtime_folder())} <= {KILLED})


@pytest.mark.usefixtures("hosts")
async def test_status_is_of_all_hosts_where_none_is_named(tmp_path: Path) -> None:
    model = product(tmp_path)
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(runtime_folder() / f"{KILLED}.sock"))
    nobody = refused(3, "host", "--status")
    assert f"none listens in {runtime_folder()}, neither" in nobody
    async with open_engine(model, batching=True, shared=True, linger=0.1, name="one") as one:
        assert told("host", "--status")["pid"] == getattr(one, "host_pid", None)
        async with open_engine(
            model, batching=True, shared=True, linger=0.1, name="two", max_batch_size=2
        ):
            shown = run("host", "--status").stdout
            assert "one" in shown
            assert "two" in shown
            assert "name its --socket" in refused(2, "host", "--status", "--json", "-")
