"""Who may start a host, and how often."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import PATIENCE
from tests.shared.processes import ROOT, exchange, sockets
from trtasync import BackendUnavailable, PlanError, connect, open_engine
from trtasync.measure.opened import read_options
from trtasync.opening.plain import options_to_plain
from trtasync.shared.greeting import Welcome, tell
from trtasync.shared.joining import Line, Silent
from trtasync.shared.pauses import note_start, pause_between_starts
from trtasync.shared.peers import check_host, credentials
from trtasync.shared.records import PROTOCOL, Op, dump, pack
from trtasync.shared.starting import Started, locked
from trtasync.system.stopping import Stopped
from trtasync.system.version import __version__


class Clock(threading.Event):
    """Notes how long it is waited for, and waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        return self.is_set()


@pytest.fixture
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no time to write down when a host was started."""
    monkeypatch.setattr(time, "time", lambda: 1e9)


@pytest.mark.usefixtures("standing_clock")
def test_starts_that_follow_one_another_are_put_off_longer_and_longer(tmp_path: Path) -> None:
    starts, clock = tmp_path / "starts", Clock()
    for _ in range(12):
        note_start(starts)
        pause_between_starts(starts, clock)
    expected = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30, 30]
    assert clock.waited == pytest.approx(expected)


@pytest.mark.usefixtures("standing_clock")
def test_who_ran_well_is_started_at_once(tmp_path: Path) -> None:
    starts, clock = tmp_path / "starts", Clock()
    starts.write_text(json.dumps([20, time.time() - 61]))
    pause_between_starts(starts, clock)
    note_start(starts)
    pause_between_starts(starts, clock)
    assert clock.waited == pytest.approx([0, 0.2])


@pytest.mark.parametrize("content", ["", "[1", "{}", '["x", 1]', "[1, 1e400]"])
def test_a_note_that_says_nothing_puts_off_nothing(tmp_path: Path, content: str) -> None:
    starts, clock = tmp_path / "starts", Clock()
    starts.write_text(content)
    pause_between_starts(starts, clock)
    assert clock.waited[0] <= 30


LOCK = """
import sys, threading
from pathlib import Path
from typing import Any
from trtasync.shared.starting import locked
with locked(Path(sys.argv[1]), threading.Event()):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(lock: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock."""
    command = [sys.executable, "-c", LOCK, str(lock)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_one_at_a_time_and_the_dead_hold_nothing(tmp_path: Path) -> None:
    lock, stop, got = tmp_path / "lock", threading.Event(), threading.Event()

    def take() -> None:
        with locked(lock, stop):
            got.set()

    with holder(lock) as process:
        thread = threading.Thread(target=take)
        thread.start()
        assert not got.wait(0.1)
        process.kill()
        assert got.wait(PATIENCE)
        thread.join()


def test_who_waits_for_the_lock_can_be_called_off(tmp_path: Path) -> None:
    lock, stop = tmp_path / "lock", threading.Event()
    with holder(lock):
        stop.set()
        with pytest.raises(Stopped), locked(lock, stop):
            pytest.fail("somebody else has it")


@contextmanager
def impostor(path: Path, answer: bytes) -> Iterator[None]:
    """Somebody who listens, and says this to the one who has to come inside the block."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen()

        def serve() -> None:
            end, _ = listener.accept()
            with end:
                end.recv(1 << 16)
                end.sendall(answer)
                end.shutdown(socket.SHUT_WR)
                end.recv(1)  # until it is gone

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(PATIENCE)
        assert not thread.is_alive()  # somebody came
    path.unlink(missing_ok=True)


def welcome(version: str) -> bytes:
    """Of a host of another version."""
    return pack(Op.WELCOME, payload=dump(tell(Welcome(version, os.getpid(), ("m",)))))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            welcome("0.0.1"),
            f"is of trtasync 0.0.1 (protocol {PROTOCOL}), and this is {__version__}",
        ),
        (pack(Op.DONE, payload=b"{}"), "it said 69 for WELCOME"),
        (pack(Op.WELCOME, payload=b"[]"), "must be a JSON object"),
        (pack(Op.WELCOME, payload=b"{}"), "lacks something"),
        (pack(Op.WELCOME)[:10], "hung up"),
    ],
    ids=["version", "record", "payload", "content", "end"],
)
def test_who_is_no_host_of_this_version_is_refused(folder: Path, answer: bytes, said: str) -> None:
    async def main() -> None:
        with pytest.raises(BackendUnavailable) as caught:
            await connect(folder / "host.sock")
        assert said in str(caught.value)

    with impostor(folder / "host.sock", answer):
        anyio.run(main)


def test_who_comes_in_a_crowd_waits_to_be_let_in(folder: Path) -> None:
    path = folder / "host.sock"
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as crowd:
        listener.bind(os.fspath(path))
        listener.listen(0)
        with suppress(BlockingIOError):
            while True:
                early = crowd.enter_context(socket.socket(socket.AF_UNIX))
                early.setblocking(False)
                early.connect(os.fspath(path))
        with pytest.raises(BackendUnavailable, match="too many processes wait to be let in"):
            Line(path, seconds=0.0)
        accepting = threading.Thread(target=lambda: listener.accept()[0].close())
        accepting.start()
        Line(path).close()
        accepting.join(PATIENCE)
    path.unlink()


def test_who_waits_for_a_host_that_hangs_can_be_called_off(folder: Path) -> None:
    path = folder / "host.sock"

    async def main() -> None:
        with anyio.fail_after(PATIENCE / 2), anyio.move_on_after(0.05) as scope:
            await connect(path)
        assert scope.cancelled_caught

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen()
        anyio.run(main)
        with (
            closing(Line(path, seconds=0.05)) as line,
            pytest.raises(Silent, match=r"has said nothing for 0\.05 s") as caught,
        ):
            line.hear(Op.WELCOME)
        assert caught.value.pid == os.getpid()
    path.unlink()


def test_where_nobody_listens(folder: Path) -> None:
    async def main() -> None:
        with pytest.raises(BackendUnavailable, match="trtasync host MODEL --socket"):
            await connect(folder / "host.sock")

    anyio.run(main)


def test_a_host_that_ends_before_it_is_ready_says_why(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho last words >&2\nexit 3\n")
    broken.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(broken))

    async def main() -> None:
        with pytest.raises(BackendUnavailable, match="before it was ready: last words"):
            await open_engine(model, shared=True)

    anyio.run(main)


def test_a_host_that_is_ending_is_followed_by_another_one(folder: Path, model: Path) -> None:
    options: dict[str, Any] = {"batching": True}
    way = Started(model, options_to_plain(read_options(model, options)), "product", linger=0.2)

    async def main() -> None:
        async with open_engine(model, shared=True, linger=0.2, **options) as engine:
            assert (await engine.infer(np.ones(8, np.float32))).shape == (3,)

    with impostor(way.path, b""):
        anyio.run(main)


def test_nobody_else_stands_in_for_the_host() -> None:
    path, me = Path("/run/host.sock"), os.geteuid()
    check_host(me, path)
    check_host(0, path)  # root
    with pytest.raises(BackendUnavailable, match=f"user {me + 1} listens at {path}"):
        check_host(me + 1, path)


def test_a_socket_knows_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert credentials(ours) == (os.getpid(), os.geteuid())


def test_a_file_that_is_replaced_while_a_host_is_started_is_not_served(
    folder: Path, model: Path
) -> None:
    way = Started(model, options_to_plain(read_options(model, {})), "model", linger=60.0)
    exchange(model)
    with pytest.raises(PlanError, match="not what it was when this engine was opened"):
        way.join(threading.Event())
    (left,) = sockets(folder)  # nobody listens: it was not asked whether it wants to end
    with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_UNIX) as end:
        end.connect(os.fspath(left))
    left.unlink()


def test_a_folder_that_was_tidied_away_is_made_anew(folder: Path, model: Path) -> None:
    way = Started(model, options_to_plain(read_options(model, {})), "model", linger=0.1)
    folder.rmdir()
    way.join(threading.Event()).close()


def test_what_the_system_lacks_is_said(folder: Path, model: Path) -> None:
    way = Started(model, options_to_plain(read_options(model, {})), "model", linger=0.1)
    way.place.lock.mkdir()
    with pytest.raises(BackendUnavailable, match="Is a directory"):
        way.join(threading.Event())
