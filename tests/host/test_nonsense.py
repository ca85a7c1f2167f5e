"""A client that says what nobody says is sent away, alone; the others do not notice."""

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from support.helpers import row, same, until
from support.wire import WireClient, form, hello, infer, source
from tests.host.serving import Hosted, scripted
from trtasync.errors import BackendUnavailable, InvalidInput, QueueFull, TrtasyncError
from trtasync.shared.arena import make_segment
from trtasync.shared.records import MOST_PAYLOAD, PROTOCOL, RECORD, Op, pack
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

SAID: dict[str, bytes] = {
    "a second greeting": hello(),
    "no operation": RECORD.pack(0, 0, 0, 0, 0, 0, 0, 0),
    "an operation to come": RECORD.pack(200, 0, 0, 0, 0, 0, 0, 0),
    "what the host says": pack(Op.DONE, 0),
    "a slot that is not there": infer(16, 0),
    "the last number of all": infer(2**32 - 1, 0),
    "a form that nobody announced": infer(0, 1),
    "a priority beyond the last": infer(0, 0, priority=10),
    "a request larger than its slot": form(1, (17, 4)) + infer(0, 1),
    "two requests in one slot": infer(0, 0) + infer(0, 0),
    "the end of a request in no slot": pack(Op.CANCEL, 99),
    "taking what was never given": pack(Op.TAKE, 0, number=1),
    "taking into no slot": pack(Op.TAKE, 0, number=2**40),
    "a source in no slot": source(0, 77) + infer(0, 0),
    "a source beyond its slot": source(0, 1, 255) + infer(0, 0),
    "a source beyond everything": source(0, 1, 2**64 - 1) + infer(0, 0),
    "a source of another input": source(1, 1) + infer(0, 0),
    "more sources than inputs": source(0, 1) + source(0, 2),
    "a source that the host owns": infer(1, 0) + source(0, 1) + infer(0, 0),
    "memory without a descriptor": pack(Op.MEMORY, 16, number=4, other=128),
    "a form of no JSON": pack(Op.FORM, form=1, payload=b"{"),
    "a form of a list": pack(Op.FORM, form=1, payload=b"[]"),
    "a form of endless depth": pack(Op.FORM, form=1, payload=b"[" * 100_000),
    "a form without shapes": pack(Op.FORM, form=1, payload=b'{"single":true}'),
    "a shape of text": pack(Op.FORM, form=1, payload=b'{"shapes":["4"],"single":true}'),
    "a negative length": form(1, (-4,)),
    "a length that is no number": pack(
        Op.FORM, form=1, payload=b'{"shapes":[[4.0]],"single":true}'
    ),
    "a shape of many axes": form(1, (1,) * 65),
    "a form of a large number": form(4096, (4,)),
    "another protocol": b"GET / HTTP/1.1\r\nHost: trtasync\r\n\r\n",
    "a payload of all memory": RECORD.pack(Op.FORM, 0, 0, 0, 0, MOST_PAYLOAD + 1, 0, 0),
}


async def sent_away(client: WireClient) -> TrtasyncError:
    """Why: the last it is told."""
    while True:
        record, payload = await client.hear()
        if record.op == Op.GONE:
            assert await client.ended()
            return client.error(payload)


@pytest.mark.parametrize("said", SAID.values(), ids=SAID.keys())
async def test_nonsense_ends_its_client_alone(said: bytes) -> None:
    backend = ScriptedBackend()
    backend.gate.shut()
    async with scripted(backend, max_batch_size=2) as host:
        other, client = await host.client(), await host.client()
        other.ask(3, 0, row(3))
        await until(lambda: backend.gate.arrived == 1)
        client.ask(5, 0, row(5))
        client.say(said)
        error = await sent_away(client)
        assert "Error(" not in str(error)  # it was seen for what it is
        assert len(host.service.sessions) == 1
        other.ask(4, 0, row(4))
        backend.gate.let()
        done = [record for record, _ in await other.hear_all(2)]
        for record in done:
            assert same(other.answer(record.slot, 0, record.form)[0], row(record.slot))


@pytest.mark.parametrize("said", [infer(0, 0), form(0, (4,)), pack(Op.ASK)])
async def test_nothing_is_done_for_who_does_not_greet(said: bytes) -> None:
    async with scripted() as host:
        client = host.connect()
        client.say(said)
        assert "here" in str(await sent_away(client))


async def test_an_observer_asks_and_nothing_else() -> None:
    async with scripted() as host:
        client = host.connect()
        await client.greet(observer=True)
        client.say(form(0, (4,)))
        await sent_away(client)


@pytest.mark.parametrize(
    "fields", [{"protocol": PROTOCOL + 1}, {"version": "0.0.1"}], ids=["protocol", "version"]
)
async def test_another_version_is_refused_with_both(fields: dict[str, Any]) -> None:
    async with scripted() as host:
        client = host.connect()
        client.say(hello(**fields))
        error = await sent_away(client)
        assert isinstance(error, BackendUnavailable)
        assert str(next(iter(fields.values()))) in str(error)


@pytest.mark.parametrize(
    "greeting", [b"{}", b'{"version":1,"pid":1}', b'{"version":"1","pid":"1"}']
)
async def test_half_a_greeting_is_none(greeting: bytes) -> None:
    async with scripted() as host:
        client = host.connect()
        client.say(pack(Op.HELLO, payload=greeting))
        assert "Hello" in str(await sent_away(client))


async def test_a_model_of_another_name_is_not_served() -> None:
    async with scripted() as host:
        client = host.connect()
        client.say(hello("other"))
        error = await sent_away(client)
        assert isinstance(error, InvalidInput)
        assert "scripted" in str(error)


def unsealed() -> int:
    """Memory whose size can still change."""
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 4096)
    return descriptor


def small() -> int:
    """Memory of one page."""
    return make_segment(0, 128, 4).descriptor


MEMORY: dict[str, tuple[Callable[[], int], int, int, int]] = {
    "unsealed": (unsealed, 0, 4, 128),
    "smaller than it says": (small, 0, 4, 4096),
    "slots of no size": (small, 0, 4, 0),
    "no slots": (small, 0, 0, 128),
    "slots across cache lines": (small, 0, 4, 96),
    "numbers that are not the next": (small, 1, 4, 128),
    "more slots than anybody has": (small, 0, 1 << 40, 128),
    "more bytes than anybody has": (small, 0, 1, 1 << 50),
    "sizes that would wrap": (small, 0, 1 << 32, 1 << 32),
}


@pytest.mark.parametrize("memory", MEMORY.values(), ids=MEMORY.keys())
async def test_memory_that_is_not_what_it_says_ends_its_client(
    memory: tuple[Callable[[], int], int, int, int],
) -> None:
    make, first, slots, slot_bytes = memory
    async with scripted() as host:
        client = host.connect()
        await client.greet()
        before = len(os.listdir("/proc/self/fd"))
        descriptor = make()
        said = pack(Op.MEMORY, first, number=slots, other=slot_bytes)
        client.say(said, descriptors=[descriptor])
        os.close(descriptor)
        await sent_away(client)
        assert len(os.listdir("/proc/self/fd")) < before  # its connection's, at least
        assert host.service._books.all.used == 0


async def test_what_is_no_memory_is_not_mapped() -> None:
    async with scripted() as host:
        client = host.connect()
        await client.greet()
        read, write = os.pipe()
        client.say(pack(Op.MEMORY, 0, number=4, other=256), descriptors=[read])
        assert isinstance(await client.refusal(Op.MAPPED), QueueFull)
        await client.form(0, (4,))
        client.say(infer(0, 0))
        assert isinstance(await client.refusal(Op.FAILED), QueueFull)
        client.say(source(0, 1), infer(0, 0))
        assert isinstance(await client.refusal(Op.FAILED), QueueFull)
        os.close(read)
        os.close(write)


async def test_a_client_shares_no_more_than_it_may() -> None:
    limits = {"bytes_per_client": 4096, "total_bytes": 6144}
    async with scripted(limits=limits) as host:
        first, second = host.connect(), host.connect()
        for client in (first, second):
            await client.greet()
        await first.share(16, 256)
        for client in (first, second):  # its own limit, and that of all together
            client.announce(16, 256)
            error = await client.refusal(Op.MAPPED)
            assert isinstance(error, QueueFull)
            assert "4096 more were requested" in str(error)
        await second.share(8, 256)
        first.close()
        first.segments.clear()
        await until(lambda: host.service._books.all.used == 2048)


async def test_too_many_descriptors_are_not_kept() -> None:
    async with scripted() as host:
        client = host.connect()
        await client.greet()
        before = len(os.listdir("/proc/self/fd"))
        ends = socket.socketpair()
        client.say(pack(Op.ASK), descriptors=[ends[0].fileno()] * 17)
        await sent_away(client)
        for end in ends:
            end.close()
        assert len(os.listdir("/proc/self/fd")) == before - 1


async def test_who_asks_for_statistics_all_the_time_is_sent_away() -> None:
    async with scripted() as host:
        client = host.connect()
        await client.greet()
        client.say(pack(Op.ASK) * 10)
        await client.expect(Op.TOLD)
        await sent_away(client)


def served(host: Hosted) -> int:
    """Clients."""
    return len(host.service.sessions)


async def test_who_does_not_greet_is_sent_away_in_time() -> None:
    async with scripted(limits={"greeting": 0.3}) as host:
        silent, greets = host.connect(), host.connect()
        await greets.greet()
        assert "nothing was said" in str(await sent_away(silent))
        assert served(host) == 1


async def test_no_more_clients_than_there_may_be() -> None:
    async with scripted(limits={"sessions": 2}) as host:
        first = await host.client()
        await host.client()
        assert isinstance(await sent_away(host.connect()), QueueFull)
        first.close()
        await until(lambda: served(host) == 1)
        await host.client()
