"""The host as a whole: whom it tells what, and how it ends."""

import logging
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from support.helpers import opened, row, same, until
from support.wire import WireClient
from tests.host.processes import connected
from tests.host.serving import LIMITS, Hosted, hosting, scripted
from trtasync import DeviceLost, EngineClosed, EngineRestarting, InvalidInput
from trtasync.host import serve
from trtasync.host.places import listen_at
from trtasync.shared.figures import statistics_from_plain
from trtasync.shared.peers import check_client
from trtasync.shared.records import Op, pack, parse
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


async def ready(client: WireClient) -> WireClient:
    """It has slots and a form."""
    await client.greet()
    await client.share(4, 256)
    await client.form(0, (4,))
    return client


async def told(host: Hosted) -> dict[str, object]:
    """What an observer hears."""
    observer = host.connect()
    await observer.greet(observer=True)
    observer.say(pack(Op.ASK))
    _, payload = await observer.expect(Op.TOLD)
    observer.close()
    return parse(payload)


async def test_statistics_are_of_all_and_of_each() -> None:
    backend = ScriptedBackend()
    backend.bad = lambda x: x[0] == 13
    async with scripted(backend) as host:
        first, second = await host.client(), await host.client(slots=3)
        for value in (1, 2):
            await first.infer(0, 0, row(value))
        second.ask(0, 0, row(13))
        await second.expect(Op.FAILED)
        backend.gate.shut()
        second.ask(1, 0, row(1))
        await until(lambda: backend.gate.arrived == 4)
        known = await told(host)
        backend.gate.let()
        statistics = statistics_from_plain(known["models"]["scripted"])  # type: ignore[index]  # JSON
        assert (statistics.answered, statistics.failed) == (2, 1)
        assert known["pid"] == os.getpid()
        clients = [client for client in known["clients"] if client["model"]]  # type: ignore[attr-defined]  # JSON
        facts = sorted(
            tuple(client[key] for key in ("requests", "failed", "in_flight", "slots", "bytes"))
            for client in clients
        )
        assert facts == [(2, 0, 0, 16, 16 * 256), (2, 1, 1, 3, 3 * 256)]


async def test_each_client_has_the_model_that_it_asked_for() -> None:
    doubled = ScriptedBackend(lambda x: 2 * x)
    async with (
        opened(ScriptedBackend(), name="same") as same_engine,
        opened(doubled, name="doubled") as doubled_engine,
        hosting(same_engine, doubled_engine) as host,
    ):
        for name, factor in (("same", 1), ("doubled", 2)):
            client = host.connect()
            welcome = await client.greet(name)
            assert (welcome.name, list(welcome.models)) == (name, ["same", "doubled"])
            await client.share(4, 256)
            await client.form(0, (4,))
            assert same((await client.infer(0, 0, row(3)))[0], row(3 * factor))


async def test_lines_of_the_log_reach_who_asked_for_them() -> None:
    async with scripted() as host:
        log = logging.getLogger("trtasync")
        deaf, hears = host.connect(), host.connect()
        await deaf.greet()
        log.warning("before anybody came")
        await hears.greet(logs=True)
        log.warning("first %d", 1)
        log.warning("second")
        lines = [parse(payload) for _, payload in await hears.hear_all(3)]
        assert lines == [
            {"level": logging.WARNING, "message": words}
            for words in ("before anybody came", "first 1", "second")
        ]
        deaf.say(pack(Op.ASK))
        await deaf.expect(Op.TOLD)  # and nothing before


async def test_a_lost_device_ends_the_host_and_all_are_told() -> None:
    backend = ScriptedBackend()
    async with scripted(backend, max_batch_size=1) as host:
        asks, waits = await host.client(), await host.client()
        backend.gate.shut()
        asks.ask(0, 0, row(1))
        asks.ask(1, 0, row(2))
        await until(lambda: backend.gate.arrived == 1)
        backend.lose = True
        backend.gate.let()
        for _ in range(2):
            assert isinstance(await asks.refusal(Op.FAILED), DeviceLost)
        for client in (asks, waits):
            assert isinstance(await client.refusal(Op.GONE), DeviceLost)
            assert await client.ended()
        assert isinstance(host.service.lost, DeviceLost)


async def taken(client: WireClient, said: bytes) -> bool:
    """The host still takes more of it, within a second."""
    with anyio.move_on_after(1):
        await anyio.wait_writable(client.end)
        client.end.send(1000 * said)
        return True
    return False


async def test_an_engine_that_breaks_down_ends_the_host_and_all_are_told() -> None:
    async with scripted() as host:
        asks, waits = await host.client(), await host.client()

        def bug(begin: float) -> None:
            raise ZeroDivisionError

        (model,) = host.service._models.values()
        model.core.pump._launch_all = bug  # type: ignore[method-assign]  # nothing else fails there
        asks.ask(0, 0, row(1))
        assert "ZeroDivisionError" in str(await asks.refusal(Op.FAILED))
        for client in (asks, waits):
            assert isinstance(await client.refusal(Op.GONE), DeviceLost)
            assert await client.ended()


@pytest.mark.parametrize("linger", [None, 0.0, 0.01, 1.0, 1e9])
def test_a_host_looks_around_neither_all_the_time_nor_seldom(linger: float | None) -> None:
    assert 0.02 <= replace(LIMITS, linger=linger).pace <= 1.0
    assert replace(LIMITS, linger=0.4).pace == pytest.approx(0.1)


async def test_who_does_not_read_is_not_read_either_and_holds_nobody_up() -> None:
    async with scripted(limits={"unsent": 1 << 12}) as host:
        greedy, other = await host.client(), await host.client()
        greedy.end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        refused = pack(Op.FORM, form=1, payload=b'{"shapes":[[5]],"single":true}')
        while await taken(greedy, refused):
            pass
        assert max(session._connection.unsent for session in host.service.sessions) < 1 << 20
        for value in range(20):
            assert same((await other.infer(0, 0, row(value)))[0], row(value))


async def test_open_engines_are_served_and_stay_open(tmp_path: Path) -> None:
    stop = anyio.Event()
    path = tmp_path / "made" / "host.sock"
    async with opened(ScriptedBackend()) as engine:
        async with anyio.create_task_group() as group:

            async def ended() -> None:
                await serve({"it": engine}, path, stop=stop)
                group.cancel_scope.cancel()

            group.start_soon(ended)
            await until(path.exists)
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            client = await ready(connected(path))
            assert same((await client.infer(0, 0, row(1)))[0], row(1))
            stop.set()
            assert isinstance(await client.refusal(Op.GONE), EngineClosed)
            client.close()
            await anyio.sleep_forever()
        assert not path.exists()
        assert same(await engine.infer(row(2)), row(2))


async def test_what_was_accepted_is_answered_before_the_end(tmp_path: Path) -> None:
    backend = ScriptedBackend()
    backend.gate.shut()
    stop, over = anyio.Event(), anyio.Event()
    async with opened(backend, max_batch_size=1) as engine, anyio.create_task_group() as group:

        async def ended() -> None:
            await serve({"it": engine}, tmp_path / "sock", stop=stop)
            over.set()

        group.start_soon(ended)
        await until((tmp_path / "sock").exists)
        client = await ready(connected(tmp_path / "sock"))
        client.ask(0, 0, row(1))
        client.ask(1, 0, row(2))
        await until(lambda: backend.gate.arrived == 1)
        stop.set()
        await until(lambda: not (tmp_path / "sock").exists())
        client.ask(2, 0, row(3))
        assert isinstance(await client.refusal(Op.FAILED), EngineRestarting)  # the client's goes on
        assert not over.is_set()
        backend.gate.let()
        done = [record for record, _ in await client.hear_all(2)]
        for record in done:
            assert same(client.answer(record.slot, 0, record.form)[0], row(record.slot + 1))
        assert isinstance(await client.refusal(Op.GONE), EngineClosed)
        client.close()


async def test_start_goes_on_when_clients_can_come(tmp_path: Path) -> None:
    async with opened(ScriptedBackend()) as engine, anyio.create_task_group() as group:
        await group.start(serve, {"it": engine}, tmp_path / "sock")
        client = connected(tmp_path / "sock")
        await client.greet("it")
        group.cancel_scope.cancel()
    assert await client.ended()
    assert not (tmp_path / "sock").exists()
    client.close()


async def test_a_lost_device_is_raised_by_serve(tmp_path: Path) -> None:
    backend = ScriptedBackend()
    backend.lose = True
    async with opened(backend) as engine, anyio.create_task_group() as group:
        over = anyio.Event()

        async def served() -> None:
            with pytest.raises(DeviceLost):
                await serve({"it": engine}, tmp_path / "sock")
            over.set()

        group.start_soon(served)
        await until((tmp_path / "sock").exists)
        client = await ready(connected(tmp_path / "sock"))
        client.ask(0, 0, row(1))
        assert isinstance(await client.refusal(Op.FAILED), DeviceLost)
        await over.wait()
        client.close()


def test_no_engine_is_none_to_serve(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no engines"):
        anyio.run(lambda: serve({}, tmp_path / "sock"))


def test_other_users_are_refused() -> None:
    check_client(os.geteuid())
    check_client(0)
    with pytest.raises(InvalidInput, match=f"the client is user {os.geteuid() + 1};"):
        check_client(os.geteuid() + 1)


def folder_of_all(path: Path) -> Path:
    path.mkdir()
    path.chmod(0o777)
    return path / "sock"


def no_folder(path: Path) -> Path:
    return path / "nor" / "sock"


def file_there(path: Path) -> Path:
    path.mkdir(0o700)
    (path / "sock").write_text("somebody's")
    return path / "sock"


def endless(path: Path) -> Path:
    return path / ("x" * 200)


@pytest.mark.parametrize("make", [folder_of_all, no_folder, file_there, endless])
def test_a_place_that_cannot_be_one_is_refused(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path / "folder")
    before = path.read_text() if path.exists() else None
    with pytest.raises(InvalidInput):
        listen_at(os.fspath(path))
    assert before is None or path.read_text() == before
