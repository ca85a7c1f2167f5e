"""Who leaves, request by request or for good, takes nothing along that others need."""

import gc
import os
import threading
import weakref

import numpy as np
import pytest

from support.helpers import row, rows, same, tensor, until
from support.wire import infer
from tests.host.serving import Hosted, maps, scripted
from trtasync.shared.records import Op, pack
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


def shut() -> ScriptedBackend:
    """A model that lets nothing through yet."""
    backend = ScriptedBackend()
    backend.gate.shut()
    return backend


def only_session(host: Hosted) -> dict[str, object]:
    """What the host says of its only client."""
    (session,) = host.service.sessions
    return session.told()


async def test_what_is_queued_is_withdrawn_at_once() -> None:
    backend = shut()
    async with scripted(backend, max_batch_size=1) as host:
        client = await host.client()
        client.ask(0, 0, row(0))
        await until(lambda: backend.gate.arrived == 1)
        client.ask(1, 0, row(1), generation=7)
        client.say(pack(Op.CANCEL, 1, 7))
        record, _ = await client.expect(Op.CANCELLED)
        assert (record.slot, record.generation) == (1, 7)
        client.ask(1, 0, row(2), generation=8)  # the slot is the client's again
        backend.gate.let()
        done = [record for record, _ in await client.hear_all(2)]
        assert [record.slot for record in done] == [0, 1]
        assert same(client.answer(1, 0, done[1].form)[0], row(2))
        assert [batch[0, 0] for batch in backend.computed] == [0, 2]


async def test_what_runs_keeps_its_slot_until_it_has_ended() -> None:
    backend = shut()
    async with scripted(backend, max_batch_size=2) as host:
        client = await host.client()
        client.ask(0, 0, row(0))
        client.ask(1, 0, row(1))
        await until(lambda: backend.gate.arrived == 1)
        client.say(pack(Op.CANCEL, 0), pack(Op.ASK))
        await client.expect(Op.TOLD)
        assert only_session(host)["in_flight"] == 2
        backend.gate.let()
        ended = {record.slot: record.op for record, _ in await client.hear_all(2)}
        assert ended == {0: Op.CANCELLED, 1: Op.DONE}


async def test_a_split_request_is_cancelled_when_its_last_batch_has_ended() -> None:
    backend = shut()
    async with scripted(backend, max_batch_size=2, streams=2) as host:
        client = await host.client()
        await client.form(1, (5, 4))
        client.ask(0, 1, rows(range(5)))
        await until(lambda: backend.gate.arrived == 2)
        client.say(pack(Op.CANCEL, 0), pack(Op.ASK))
        await client.expect(Op.TOLD)
        backend.gate.let(1)
        client.say(pack(Op.ASK))
        await client.expect(Op.TOLD)
        backend.gate.let()
        record, _ = await client.expect(Op.CANCELLED)
        assert record.slot == 0
        assert len(backend.computed) == 2  # the third part was never run


async def test_a_cancellation_that_crossed_the_answer_means_nothing_to_the_next() -> None:
    async with scripted() as host:
        client = await host.client()
        await client.infer(0, 0, row(1), generation=1)
        client.ask(0, 0, row(2), generation=2)
        client.say(pack(Op.CANCEL, 0, 1))
        record, _ = await client.expect(Op.DONE)
        assert same(client.answer(0, 0, record.form)[0], row(2))


async def test_a_client_that_goes_takes_its_queue_along_and_nobody_elses() -> None:
    backend = shut()
    async with scripted(backend, max_batch_size=2) as host:
        gone, stays = await host.client(), await host.client()
        gone.ask(0, 0, row(10))
        stays.ask(0, 0, row(20))  # in one batch with it
        await until(lambda: backend.gate.arrived == 1)
        for slot in range(1, 6):
            gone.ask(slot, 0, row(10 + slot))
            stays.ask(slot, 0, row(20 + slot))
        stays.say(pack(Op.ASK))
        await stays.expect(Op.TOLD)
        gone.close()
        await until(lambda: len(host.service.sessions) == 1)
        backend.gate.let()
        done = [record for record, _ in await stays.hear_all(6)]
        assert [record.slot for record in done] == list(range(6))
        for record in done:
            assert same(stays.answer(record.slot, 0, record.form)[0], row(20 + record.slot))
        computed = [first for batch in backend.computed for first in batch[:, 0]]
        assert sorted(computed) == [10, *range(20, 26)]


async def test_memory_is_unmapped_when_the_last_batch_has_ended() -> None:
    gc.collect()
    before = maps()
    backend = shut()
    async with scripted(backend, max_batch_size=4) as host:
        client = host.connect()
        await client.greet()
        await client.share(4, 4096)
        await client.form(0, (3, 4))
        client.put(0, 0, rows([1, 2, 3]))
        client.say(infer(0, 0))
        await until(lambda: backend.gate.arrived == 1)
        client.put(1, 0, rows([4, 5, 6]))
        client.say(infer(1, 0))  # queued, not running
        client.say(pack(Op.ASK))
        await client.expect(Op.TOLD)
        books = host.service._books.all
        assert books.used == 4 * 4096
        client.close()
        client.segments.clear()
        await until(lambda: not host.service.sessions)
        backend.gate.let()
        gc.disable()  # no cycle may keep it until the collector comes
        try:
            await until(lambda: maps() == before)
        finally:
            gc.enable()
        assert books.used == 0


async def test_large_memory_is_unmapped_beside_the_loop() -> None:
    gc.collect()
    before = maps()
    async with scripted() as host:
        client = await host.client(slots=16, slot_bytes=1 << 20)
        await client.infer(0, 0, row(1))
        (session,) = host.service.sessions
        (memory,) = session.slots.memories()
        ended_in: list[int] = []
        weakref.finalize(memory, lambda: ended_in.append(threading.get_ident()))
        del memory, session
        client.close()
        client.segments.clear()
        await until(lambda: bool(ended_in))
        assert ended_in != [threading.get_ident()]
        await until(lambda: maps() == before)
        assert host.service._books.all.used == 0


async def test_nothing_is_lost_when_clients_come_and_go() -> None:
    async with scripted() as host:
        gc.collect()
        fds, mapped = len(os.listdir("/proc/self/fd")), maps()
        for value in range(30):
            client = await host.client(slots=2)
            client.ask(0, 0, row(value))
            if value % 2:
                await client.expect(Op.DONE)
            client.close()
            client.segments.clear()
        await until(lambda: not host.service.sessions)
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == fds
        await until(lambda: maps() == mapped)
        assert host.service._books.all.used == 0


async def test_answers_that_were_not_taken_are_not_kept_for_who_has_gone() -> None:
    grows = ScriptedBackend(lambda x: np.repeat(x, 100, axis=1), outputs=[tensor("y", "N", None)])
    async with scripted(grows) as host:
        client = await host.client(slots=2, slot_bytes=128)
        client.ask(0, 0, row(5))
        await client.expect(Op.LARGE)
        assert host.service._books.all.used == 256 + 1600
        client.close()
        await until(lambda: host.service._books.all.used == 0)
