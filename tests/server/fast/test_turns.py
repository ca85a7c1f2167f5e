"""What one client sends is taken up over several turns of the loop, and others have theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from support.helpers import rows
from tests.server.fast.clients import Answer, Client, infer, request, running
from tests.server.serving import models_of
from trtasync.server.fast.chunks import LINES_AT_ONCE, Chunks
from trtasync.server.fast.reading import FAILED_AT_ONCE
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

INFER = "/v2/models/m/infer"
CHUNKED = "Transfer-Encoding: chunked"
TINY = b"1\r\na\r\n"
END = b"0\r\n\r\n"
MANY = 50 * LINES_AT_ONCE


class Turns:
    """Of the loop."""

    count = 0


@asynccontextmanager
async def counted() -> AsyncIterator[Turns]:
    """The turns of the loop until the end of the block."""
    turns = Turns()

    async def count() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            turns.count += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        yield turns
        tasks.cancel_scope.cancel()


def test_a_body_of_tiny_chunks_is_read_a_piece_at_a_time() -> None:
    chunks = Chunks(MANY)
    rest, feeds = chunks.feed(TINY * MANY + END + b"GET"), 1
    while chunks.is_behind:
        rest, feeds = chunks.feed(b""), feeds + 1
    assert chunks.is_complete
    assert (len(chunks.body), rest) == (MANY, b"GET")
    assert feeds == 2 * MANY // LINES_AT_ONCE + 1


def test_what_comes_meanwhile_is_read_in_its_order() -> None:
    chunks = Chunks(MANY)
    chunks.feed(TINY * LINES_AT_ONCE)
    assert chunks.is_behind
    rest = chunks.feed(b"1\r\nb\r\n" + END + b"GET")
    while chunks.is_behind:
        rest = chunks.feed(b"")
    assert chunks.body == b"a" * LINES_AT_ONCE + b"b"
    assert rest == b"GET"


async def asked(client: Client, content: bytes, answers: int) -> list[Answer]:
    """Send, while the answers are read."""
    found: list[Answer] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, content)
        found += [await client.answer() for _ in range(answers)]
    return found


async def test_tiny_chunks_are_read_to_their_end_and_no_further() -> None:
    content = request("POST", INFER, TINY * MANY + END, CHUNKED) + infer(rows([1]))
    async with running(models_of(ScriptedBackend())) as server, server.client() as client:
        first, second = await asked(client, content, 2)
        assert "JSON" in first.error
        assert second.y.tolist() == rows([1]).tolist()


async def test_who_sends_no_chunks_behind_many_is_told_so() -> None:
    async with running(models_of(ScriptedBackend())) as server, server.client() as client:
        answer = await client.ask(request("POST", INFER, TINY * MANY + b"x\r\n", CHUNKED))
        assert "begins with no size" in answer.error
        assert answer.headers["connection"] == "close"


async def test_who_leaves_amid_tiny_chunks_is_forgotten() -> None:
    async with running(models_of(ScriptedBackend())) as server:
        async with server.client() as client:
            await client.send(request("POST", INFER, TINY * MANY, CHUNKED))
        await server.connections(0)


async def test_requests_that_fail_are_refused_over_many_turns() -> None:
    count = 100 * FAILED_AT_ONCE
    content = request("POST", INFER) * count + infer(rows([1]))
    async with running(models_of(ScriptedBackend())) as server, server.client() as client:
        async with counted() as turns:
            *refused, last = await asked(client, content, count + 1)
        assert {each.status for each in refused} == {400}
        assert last.y.tolist() == rows([1]).tolist()
        assert turns.count >= count // FAILED_AT_ONCE
