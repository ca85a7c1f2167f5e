"""The host as a process of its own: how it is started, and how it ends."""

import logging
import os
import signal
import socket
import stat
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import PATIENCE, same, until
from support.onnx_models import FLOAT, node, value, write_model
from support.wire import hello, infer
from tests.host.processes import HostProcess, connected, host, order, product, stuck
from trtasync.errors import DeviceLost, EngineClosed, PlanError
from trtasync.host.process import LOST
from trtasync.shared.records import Op, pack, parse
from trtasync.shared.refusals import restore
from trtasync.shared.starting import locked

pytestmark = pytest.mark.anyio

X = np.arange(8, dtype=np.float32)
WEIGHTS = np.arange(24, dtype=np.float32).reshape(8, 3)


@pytest.fixture
def anyio_backend() -> str:
    """The host's own loop is asyncio, and the client's is of no matter."""
    return "asyncio"


async def ended(started: HostProcess) -> int:
    """Its exit code."""
    await until(lambda: started.process.poll() is not None)
    return started.process.returncode


async def test_it_says_that_it_is_ready_and_serves(tmp_path: Path) -> None:
    with host(order(tmp_path, product(tmp_path))) as started:
        assert started.answer == {"ready": started.process.pid}
        assert stat.S_IMODE(os.stat(started.path).st_mode) == 0o600
        client = started.connect()
        welcome = await client.greet()
        assert (welcome.pid, welcome.name) == (started.process.pid, "product")
        await client.share(4, 128)
        await client.form(0, (8,))
        (answer,) = await client.infer(2, 0, X)
        assert same(answer, X @ WEIGHTS)
        client.close()


async def test_its_process_is_named_after_its_models(tmp_path: Path) -> None:
    (tmp_path / "setproctitle.py").write_text(
        "import os\n"
        "def setproctitle(title):\n"
        "    open(os.path.join(os.path.dirname(__file__), 'title'), 'w').write(title)\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with host(order(tmp_path, product(tmp_path)), PYTHONPATH=path):
        assert (tmp_path / "title").read_text() == "trtasync host: product"


async def test_two_models_in_one_host(tmp_path: Path) -> None:
    other = product(tmp_path, 4).rename(tmp_path / "other.onnx")
    with host(order(tmp_path, product(tmp_path), other)) as started:
        clients = [started.connect() for _ in range(2)]
        for client, (name, x) in zip(clients, {"product": X, "other": X[:4]}.items(), strict=True):
            await client.greet(name)
            await client.share(1, 256)
            await client.form(0, x.shape)
            expected = x @ np.arange(3 * len(x), dtype=np.float32).reshape(-1, 3)
            assert same((await client.infer(0, 0, x))[0], expected)
        nameless = started.connect()
        nameless.say(hello())
        refusal = await nameless.refusal(Op.GONE)
        assert "product, other" in str(refusal)


async def test_who_started_it_hears_what_its_opening_had_to_say(tmp_path: Path) -> None:
    coupled = write_model(
        tmp_path / "coupled.onnx",
        [node("Softmax", ["x"], ["y"], axis=0)],
        [value("x", FLOAT, ["N", 4])],
        [value("y", FLOAT, ["N", 4])],
    )
    with host(order(tmp_path, coupled, batching="auto")) as started:
        client = started.connect()
        await client.greet(logs=True)
        line: dict[str, Any] = {"level": logging.INFO}
        while line["level"] != logging.WARNING:
            _, payload = await client.expect(Op.LOG)
            line = parse(payload)
        assert "every request runs alone" in line["message"]
        client.close()


async def test_why_it_cannot_start_is_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with host(order(tmp_path, tmp_path / "broken.onnx")) as started:
        error = restore(started.answer)
        assert isinstance(error, PlanError)
        assert "broken.onnx" in str(error)
        assert await ended(started) == 1
        assert not started.has_socket


async def test_it_ends_when_the_last_client_has_left(tmp_path: Path) -> None:
    wanted = order(tmp_path, product(tmp_path), linger=0.2)
    with ExitStack() as hosts, locked(Path(wanted["lock"]), threading.Event()):
        started = hosts.enter_context(host(wanted))
        client = started.connect()
        await client.greet()
        kept = hosts.pop_all()  # who starts a host holds the lock until it has joined
    with kept:
        observer = started.connect()  # does not keep it
        await observer.greet(observer=True)
        await anyio.sleep(0.6)  # three times `linger`: only time shows that it goes on
        assert started.process.poll() is None
        client.close()
        assert await ended(started) == 0
        assert not started.has_socket


async def test_on_sigterm_what_was_accepted_is_answered_first(tmp_path: Path) -> None:
    with host(order(tmp_path, product(tmp_path), max_queue_delay=0.5)) as started:
        client = started.connect()
        await client.greet()
        await client.share(4, 128)
        await client.form(0, (8,))
        client.put(0, 0, X)
        client.say(infer(0, 0), pack(Op.ASK))  # at once, or it might be answered between the two
        await client.expect(Op.TOLD)  # so the request is in
        started.process.send_signal(signal.SIGTERM)
        record, _ = await client.expect(Op.DONE)
        assert same(client.answer(0, 0, record.form)[0], X @ WEIGHTS)
        assert isinstance(await client.refusal(Op.GONE), EngineClosed)
        assert await client.ended()
        assert await ended(started) == 0


async def test_a_lost_device_ends_the_process_however_long_closing_takes(tmp_path: Path) -> None:
    with stuck(tmp_path / "host.sock") as process:
        client = connected(tmp_path / "host.sock")
        await client.greet()
        await client.share(1, 128)
        await client.form(0, (4,))
        client.ask(0, 0, X[:4])
        assert isinstance(await client.refusal(Op.FAILED), DeviceLost)
        assert isinstance(await client.refusal(Op.GONE), DeviceLost)
        client.close()
        await until(lambda: process.poll() is not None)
        assert process.returncode == LOST


async def test_the_socket_of_a_killed_host_is_taken_over(tmp_path: Path) -> None:
    wanted = order(tmp_path, product(tmp_path))
    with host(wanted) as first:
        first.process.kill()
        await ended(first)
        assert first.has_socket
        with host(wanted) as second:
            assert second.answer == {"ready": second.process.pid}
            client = second.connect()
            await client.greet()
            client.close()


async def test_a_living_host_keeps_its_socket(tmp_path: Path) -> None:
    wanted = order(tmp_path, product(tmp_path))
    with host(wanted) as first, host(wanted) as second:
        assert "listens at" in str(restore(second.answer))
        client = first.connect()
        await client.greet()
        client.close()


@pytest.mark.parametrize("abstract", [False, True])
async def test_a_service_manager_is_told(tmp_path: Path, abstract: bool) -> None:
    name = f"\0trtasync-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(PATIENCE)
        with host(
            order(tmp_path, product(tmp_path)),
            NOTIFY_SOCKET=name.replace("\0", "@"),
            WATCHDOG_USEC="100000",
        ) as started:
            told = {manager.recv(100) for _ in range(2)}
            assert told == {b"READY=1", b"WATCHDOG=1"}
            started.process.send_signal(signal.SIGTERM)
            while b"STOPPING=1" not in told:
                told.add(manager.recv(100))
            assert await ended(started) == 0
