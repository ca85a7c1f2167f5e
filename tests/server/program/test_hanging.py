"""A worker whose event loop stands still does not end by itself: it is found, ended, replaced."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import httpx
import pytest

from support.helpers import PATIENCE, until
from tests.core.endless import FOREVER, endless_model
from tests.server.program import serving
from tests.server.program.serving import ask, children, factor_of, times
from tests.shared.processes import is_there
from trtasync import BackendUnavailable
from trtasync.host import beats
from trtasync.host.beats import BEAT, beat
from trtasync.host.starting import tell
from trtasync.server.program import pulse
from trtasync.server.program.fronts import Front, _first_greeting
from trtasync.server.program.pulse import silence
from trtasync.server.program.settings import Offer, ServerSettings, Wanted


def test_a_worker_that_is_stopped_is_replaced(tmp_path: Path) -> None:
    options = ("--workers", 2, "--hang-timeout", "3s")
    with serving.serving(tmp_path, times(tmp_path, 2), *options) as server:
        stopped, _ = children(server.process.pid)
        os.kill(stopped, signal.SIGSTOP)
        server.told(f"(process {stopped}) hangs: its event loop has stood still for 3 s")
        server.told("ended with SIGKILL; another one is started")  # it could not heed SIGABRT
        serving.until(lambda: not is_there(stopped) and len(children(server.process.pid)) == 2)
        for _ in range(20):  # whoever of the two is asked
            with server.client() as client:
                assert factor_of(ask(client)) == 2
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


def test_a_run_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    """What is usual is known of the runs before it."""
    endless_model(tmp_path / "m.onnx")
    config = tmp_path / "models.toml"
    config.write_text("[[models]]\npath = 'm.onnx'\nbatching = false\nloop_budget = 0\n")
    options = ("--config", config, "--hang-timeout", "1s")

    def asked(steps: int) -> httpx.Response:
        given = {"name": "x", "datatype": "INT64", "shape": [1, 1], "data": [steps]}
        return client.post("/v2/models/m/infer", json={"inputs": [given]})

    with serving.serving(tmp_path, *options) as server, server.client() as client:
        assert asked(1).json()["outputs"][0]["data"] == [2]
        assert asked(FOREVER).status_code == 500
        assert asked(2).json()["outputs"][0]["data"] == [4]


NEVER_READY = f"#!{sys.executable}\nimport time\ntime.sleep(600)\n"
"""A worker that shows no sign of life."""

ALIVE = f"#!{sys.executable}\nimport time\nwhile True:\n  print(flush=True)\n  time.sleep(0.05)\n"
"""One that shows nothing else: it opens a model for long."""


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Front]]:
    """Makes fronts whose process is such a program."""
    wanted = Wanted(ServerSettings(hang_timeout="20ms"), Offer([]))
    with socket.socket() as door:

        def make(program: str) -> Front:
            python = tmp_path / f"python{len(list(tmp_path.iterdir()))}"
            python.write_text(program)
            python.chmod(0o700)
            monkeypatch.setattr(sys, "executable", str(python))
            return Front(1, door, wanted)

        yield make


@pytest.mark.anyio
async def test_a_worker_that_hangs_before_it_is_ready_is_ended(
    front: Callable[[str], Front], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if another one opens a model meanwhile."""
    monkeypatch.setattr(pulse, "INTERVAL", 0.1)
    alive = front(ALIVE)
    await alive.start()
    hanging = front(NEVER_READY)
    await hanging.start()
    try:
        with (
            anyio.fail_after(PATIENCE),
            pytest.raises(BackendUnavailable, match="hung before it could serve"),
        ):
            await _first_greeting([alive, hanging])
        assert await hanging.wait() == -signal.SIGABRT
        assert "hangs: its event loop has stood still for 0.2 s" in caplog.text
    finally:
        for each in (alive, hanging):
            await each.let_end()
            each.kill()
            await each.wait()


async def turns(count: int) -> None:
    """Let all tasks have theirs."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_a_loop_that_turns_says_so_whether_or_not_it_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beats, "INTERVAL", 0.0)  # a beat per turn of the loop
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    os.set_blocking(theirs, False)
    full = os.write(ours, bytes(1 << 20))
    assert 0 < full < 1 << 20  # and nobody waits until there is room again
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat, ours)
        await turns(10)
        while set(os.read(theirs, full)) != set(BEAT):
            await anyio.wait_readable(theirs)
        os.close(theirs)  # nobody can hear it any more: it ends


@pytest.mark.anyio
async def test_a_word_longer_than_the_pipe_comes_whole_beside_signs_of_life() -> None:
    told = {"error": "x" * (1 << 20)}
    theirs, ours = os.pipe()
    with os.fdopen(theirs, "rb") as reading, ThreadPoolExecutor() as reader:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat, os.dup(ours))
            await turns(2)
            said = reader.submit(reading.read)
            tell(os.fdopen(ours, "w"), told)
            tasks.cancel_scope.cancel()
        assert json.loads(said.result()) == told


@pytest.mark.anyio
@pytest.mark.parametrize("is_over", [False, True])
async def test_who_says_nothing_for_long_enough_is_silent(
    is_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it has closed its end: it should have ended, too."""
    monkeypatch.setattr(pulse, "INTERVAL", 0.01)
    theirs, ours = anyio.create_memory_object_stream[bytes](100)
    with theirs, ours, anyio.fail_after(PATIENCE):
        await theirs.send(BEAT)
        if is_over:
            theirs.close()
        await silence(ours, 0.05)


@pytest.mark.anyio
async def test_time_in_which_the_listener_sleeps_is_no_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulse, "INTERVAL", 0.001)
    theirs, ours = anyio.create_memory_object_stream[bytes](100)
    returned: list[float] = []

    async def listen() -> None:
        await silence(ours, 0.5)
        returned.append(time.monotonic())

    with theirs, ours:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.lowlevel.checkpoint()
            for _ in range(3):
                time.sleep(0.6)  # noqa: ASYNC251 - so does a machine that is suspended
                await anyio.lowlevel.checkpoint()
                assert not returned
            await until(lambda: bool(returned))
