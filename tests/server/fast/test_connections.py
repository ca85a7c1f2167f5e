"""Connections: what follows what, who may stay how long, and how a server ends."""

import ssl
from contextlib import AsyncExitStack

import anyio
import numpy as np
import pytest

from support.helpers import PATIENCE, rows, tensor, until
from tests.server.fast.clients import Client, infer, request, running
from tests.server.serving import filled, held, models_of
from trtasync.server.fast.limits import SLOWEST, Limits
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

X = rows([1])
CHUNKED = "Transfer-Encoding: chunked"
HOURS = 10_000
"""Seconds that do not go by in a test, unless it says so."""

LIVE = request(path="/v2/health/live")


def backend_of(width: int | str = 4) -> ScriptedBackend:
    """Doubles its input."""
    return ScriptedBackend(
        lambda x: 2 * x, inputs=[tensor("x", "N", width)], outputs=[tensor("y", "N", width)]
    )


async def test_requests_that_come_at_once_are_answered_in_their_order() -> None:
    """Those of models and those of the application."""
    sent = [infer(rows([1])), LIVE, infer(rows([2])), infer(rows([3])), request(path="/no")]
    async with running(models_of(backend_of())) as server, server.client() as client:
        await client.send(b"".join(sent))
        for expected in (2, None, 4, 6):
            answer = await client.answer()
            if expected:
                assert answer.y[0, 0] == expected
            assert answer.status == 200
        assert (await client.answer()).status == 404


async def test_requests_in_pieces_of_any_size() -> None:
    content = infer(rows([1])) + request("POST", "/v2/repository/index", b"{}") + infer(rows([2]))
    async with running(models_of(backend_of())) as server:
        for size in (1, 7, 100):
            async with server.client() as client:
                for at in range(0, len(content), size):
                    await client.send(content[at : at + size])
                    await anyio.lowlevel.checkpoint()
                answers = [await client.answer() for _ in range(3)]
            assert [answers[0].y[0, 0], answers[1].status, answers[2].y[0, 0]] == [2, 200, 4]


async def test_more_than_can_be_kept_may_be_sent_ahead() -> None:
    """The client is not read from until there is room; then all of it is answered."""
    large = np.ones((1, 30_000), np.float32)
    count = 20
    backend = backend_of("W")
    async with (
        running(models_of(backend)) as server,
        server.client() as client,
        anyio.create_task_group() as tasks,
    ):
        with held(backend):
            tasks.start_soon(client.send, infer(large) * count)
            await filled(server.models.deployed("m").engine, queued=0)
        for _ in range(count):
            np.testing.assert_array_equal((await client.answer()).y, 2 * large)


async def test_what_is_sent_ahead_without_end_is_not_kept() -> None:
    backend, large = backend_of("W"), np.ones((1, 1_000_000), np.float32)
    sent = anyio.Event()
    async with running(models_of(backend)) as server, server.client() as client:
        (connection,) = await server.connections(1)

        async def send() -> None:
            await client.send(infer(X))
            await filled(server.models.deployed("m").engine, queued=0)
            await client.send(infer(large) * 20)
            sent.set()

        async with anyio.create_task_group() as tasks:
            with held(backend):
                tasks.start_soon(send)
                await until(lambda: connection.is_paused)
                for _ in range(100):
                    await anyio.lowlevel.checkpoint()
                assert not sent.is_set()
            for _ in range(21):
                assert (await client.answer()).status == 200


async def test_a_line_behind_a_body_is_overlooked() -> None:
    async with running(models_of(backend_of())) as server, server.client() as client:
        for _ in range(2):
            assert (await client.ask(infer(X) + b"\r\n")).status == 200


async def test_who_wants_the_connection_to_end_gets_his_way() -> None:
    async with running(models_of(backend_of())) as server:
        for sent in (
            infer(X, "Connection: close"),
            request("GET", "/v2", b"", "Connection: close"),
        ):
            async with server.client() as client:
                await client.send(sent + LIVE)
                answer = await client.answer()
                assert (answer.status, answer.headers["connection"]) == (200, "close")
                assert await client.rest() == b""


async def test_http_1_0() -> None:
    async with running(models_of(backend_of())) as server:
        async with server.client() as client:
            answer = await client.ask(request(version="1.0"))
            assert answer.headers["connection"] == "close"
            assert await client.rest() == b""
        async with server.client() as client:
            for _ in range(2):
                answer = await client.ask(
                    request("GET", "/v2", b"", "Connection: keep-alive", version="1.0")
                )
                assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")


async def test_head_has_no_body() -> None:
    async with running(models_of(backend_of())) as server, server.client() as client:
        whole = await client.ask(request())
        answer = await client.ask(request("HEAD"))
        assert answer.headers["content-length"] == str(len(whole.body))
        assert (await client.ask(LIVE)).status == 200


@pytest.mark.parametrize("size", [3, 50_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_client_that_expects_to_be_asked_for_its_body(size: int, chunked: bool) -> None:
    x = np.ones((1, size), np.float32)
    content = infer(x, "Expect: 100-continue")
    head, _, body = content.partition(b"\r\n\r\n")
    if chunked:
        head = b"\r\n".join(
            line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")
        )
        head += b"\r\nTransfer-Encoding: chunked"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    async with running(models_of(backend_of("W"))) as server, server.client() as client:
        for _ in range(2):
            assert (await client.ask(head + b"\r\n\r\n")).status == 100
            np.testing.assert_array_equal((await client.ask(body)).y, 2 * x)
        np.testing.assert_array_equal((await client.ask(head + b"\r\n\r\n" + body)).y, 2 * x)


async def test_a_client_that_expects_too_much_sends_no_body() -> None:
    limits = Limits(body=1000)
    async with running(models_of(backend_of()), limits=limits) as server, server.client() as client:
        answer = await client.ask(
            request(
                "POST", "/v2/models/m/infer", b"", "Content-Length: 1001", "Expect: 100-continue"
            )
        )
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert await client.rest() == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\n\nGET /", 400),
        (b"\x16\x03\x01" + bytes(20_000), 431),
        (b"GET /" + b"a" * 20_000, 431),
        (
            request("POST", "/v2", b"", "Content-Length: 1", "Transfer-Encoding: chunked")
            + b"0\r\n\r\n",
            400,
        ),
        (request("POST", "/v2", b"3;a\r\nabc\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), 400),
        (request("POST", "/v2", b"0\r\nA: b\r\n\r\n", "Transfer-Encoding: chunked"), 400),
        (request("POST", "/v2", b"ffffff\r\n", "Transfer-Encoding: chunked"), 413),
        (request("POST", "/v2/models/m/infer", b"", "Content-Length: 100000"), 413),
        (request("POST", "/v2/models/m/infer", b" " * 50_001), 413),
    ],
)
async def test_whoever_cannot_be_understood_is_told_why_and_nothing_more(
    sent: bytes, status: int
) -> None:
    """What follows may be the rest of a body that was made to look like a request."""
    limits = Limits(body=50_000)
    async with running(models_of(backend_of()), limits=limits) as server, server.client() as client:
        if status != 400 or b"\n\n" not in sent:
            await client.send(sent + LIVE)
        else:
            await client.send(sent + b"\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert answer.error
        assert await client.rest() == b""


async def test_a_body_in_chunks() -> None:
    content = infer(X)
    head, _, body = content.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    head = b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", b""])
    pieces = [body[:10], body[10:60], body[60:]]
    sent = head + b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
    async with running(models_of(backend_of())) as server, server.client() as client:
        await client.send(sent + LIVE + sent[:-20])
        assert (await client.answer()).y[0, 0] == 2
        assert (await client.answer()).body == b""
        assert (await client.ask(sent[-20:] + LIVE)).y[0, 0] == 2
        assert (await client.answer()).status == 200


# -- time ------------------------------------------------------------------------------------------


async def test_an_idle_client_is_sent_home() -> None:
    async with running(models_of(backend_of())) as server, server.client() as client:
        for sent in (infer(X), LIVE):
            assert (await client.ask(sent)).status == 200
            server.pass_time(75)
        assert (await client.ask(LIVE)).status == 200
        server.pass_time(76)
        assert await client.rest() == b""


async def test_time_passes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trtasync.server.fast.server.TICK", 0.001)
    async with running(models_of(backend_of())) as server, server.client() as client:
        assert await client.rest() == b""  # after 76 ticks


async def test_a_client_that_waits_for_its_answer_is_not_idle() -> None:
    backend = backend_of()
    async with running(models_of(backend)) as server, server.client() as client:
        with held(backend):
            await client.send(infer(X))
            await filled(server.models.deployed("m").engine, queued=0)
            server.pass_time(1000)
        assert (await client.answer()).y[0, 0] == 2


@pytest.mark.parametrize("cut", [5, 60])
async def test_a_head_that_takes_too_long(cut: int) -> None:
    """Whatever comes of it meanwhile."""
    content, limits = infer(X), Limits(head=HOURS)
    async with running(models_of(backend_of()), limits=limits) as server, server.client() as client:
        assert (await client.ask(infer(X))).status == 200
        await client.send(content[:cut])
        await server.begun()
        server.pass_time(HOURS)
        await client.send(content[cut : cut + 1])
        await server.begun(longer_than=cut)
        server.pass_time(1)
        answer = await client.answer()
        assert (answer.status, "head" in answer.error) == (408, True)
        assert await client.rest() == b""


@pytest.mark.parametrize("size", [1000, 100_000], ids=["elsewhere", "in a row"])
async def test_a_body_that_takes_too_long(size: int) -> None:
    content = infer(np.ones((1, size), np.float32))
    models = models_of(backend_of("W"))
    async with running(models, limits=Limits(first=HOURS)) as server, server.client() as client:
        await client.send(content[:-1])
        await server.begun()
        server.pass_time(int(server.server.limits.for_body(len(content))))
        await server.begun()
        server.pass_time(2)
        answer = await client.answer()
        assert (answer.status, "body" in answer.error) == (408, True)
        assert await client.rest() == b""
        assert models.deployed("m").engine.statistics().queued == 0


async def test_a_client_that_reads_nothing_is_not_answered_for_ever() -> None:
    """Neither does it hold up others, nor is memory for its answers without end."""
    large = np.ones((1, 500_000), np.float32)
    async with running(models_of(backend_of("W"))) as server, server.client() as client:
        engine = server.models.deployed("m").engine
        (connection,) = await server.connections(1)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send_for_ever, client, infer(large))
                await until(lambda: connection.is_blocked)
                answered = engine.statistics().answered
                async with server.client() as other:
                    assert (await other.ask(infer(X))).status == 200
                assert engine.statistics().answered == answered + 1
                server.pass_time(30 + 2_000_000 // SLOWEST + 2)
                await until(lambda: connection not in server.server.connections)
                tasks.cancel_scope.cancel()


async def test_a_client_that_reads_slowly_gets_all_of_it() -> None:
    """Whatever it has asked for meanwhile."""
    large = np.ones((1, 2_000_000), np.float32)
    async with running(models_of(backend_of("W"))) as server, server.client() as client:
        await client.send(infer(large))
        (connection,) = await server.connections(1)
        await until(lambda: connection.is_blocked)
        await client.send(infer(X))
        await server.begun()
        server.pass_time(80)  # seconds for 8 MB, of which a socket holds some
        np.testing.assert_array_equal((await client.answer()).y, 2 * large)
        np.testing.assert_array_equal((await client.answer()).y, 2 * X)


async def send_for_ever(client: Client, content: bytes) -> None:
    """Until the server has enough of it."""
    try:
        while True:
            await client.send(content)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass


async def test_a_client_that_was_sent_away_and_does_not_go() -> None:
    async with running(models_of(backend_of())) as server, server.client() as client:
        assert (await client.ask(b"NONSENSE\r\n\r\n")).status == 400
        (connection,) = await server.connections(1)
        server.pass_time(2)
        assert connection in server.server.connections
        server.pass_time(1)
        await until(lambda: connection not in server.server.connections)


async def test_too_many_connections() -> None:
    limits = Limits(connections=2)
    async with running(models_of(backend_of()), limits=limits) as server:
        async with server.client() as first, server.client() as second:
            await server.connections(2)
            async with server.client() as third:
                answer = await third.answer()
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                assert await third.rest() == b""
            await server.connections(2)
            for client in (first, second):
                assert (await client.ask(LIVE)).status == 200
        await server.connections(0)
        async with server.client() as client:
            assert (await client.ask(LIVE)).status == 200


# -- clients that leave, servers that end ----------------------------------------------------------


async def test_who_leaves_takes_the_request_along() -> None:
    backend = backend_of()
    models = models_of(backend, max_batch_size=1)
    async with running(models) as server, anyio.create_task_group() as tasks:
        engine = models.deployed("m").engine
        with held(backend):
            tasks.start_soon(engine.infer, {"x": X})
            await filled(engine, queued=0)
            for _ in range(20):
                async with server.client() as client:
                    await client.send(infer(rows([7])))
                    await filled(engine, queued=1)
                await filled(engine, queued=0)
        assert engine.statistics().cancelled == 20
    assert [computed[0, 0] for computed in backend.computed] == [1]


async def test_who_leaves_in_the_midst_of_a_tensor_leaves_no_row_behind() -> None:
    content = infer(np.ones((1, 50_000), np.float32))
    models = models_of(backend_of("W"))
    async with running(models) as server:
        engine = models.deployed("m").engine
        for _ in range(10):
            async with server.client() as client:
                await client.send(content[:100_000])
                await filled(engine, queued=1, in_flight=0)
            await filled(engine, queued=0, in_flight=0)
        async with server.client() as client:
            assert (await client.ask(content)).status == 200
        await server.connections(0)


async def test_who_leaves_while_the_batch_runs_gets_nothing_and_nobody_else_his_answer() -> None:
    backend = backend_of()
    async with running(models_of(backend)) as server:
        engine = server.models.deployed("m").engine
        with held(backend):
            async with server.client() as client:
                await client.send(infer(rows([7])))
                await filled(engine, queued=0)
            await server.connections(0)
            async with server.client() as client:
                await client.send(infer(rows([3])))
                await filled(engine, queued=1)
                backend.gate.let()
                assert (await client.answer()).y[0, 0] == 6
        counted = engine.statistics()
        assert (counted.answered, counted.cancelled) == (1, 1)


async def test_a_server_that_ends_answers_what_it_was_asked() -> None:
    backend = backend_of()
    async with (
        AsyncExitStack() as clients,
        anyio.create_task_group() as tasks,
        running(models_of(backend)) as server,
    ):
        idle, asking, sending = [
            await clients.enter_async_context(server.client()) for _ in range(3)
        ]
        engine = server.models.deployed("m").engine
        assert (await idle.ask(LIVE)).status == 200
        backend.gate.shut()
        await asking.send(infer(rows([1])))
        await filled(engine, queued=0)
        await sending.send(infer(rows([2]))[:-4])
        await server.begun()

        async def end() -> None:
            assert await idle.rest() == b""
            await sending.send(infer(rows([2]))[-4:])
            await filled(engine, queued=1)
            backend.gate.let()
            for client, value in ((asking, 2), (sending, 4)):
                answer = await client.answer()
                assert (answer.y[0, 0], answer.headers["connection"]) == (value, "close")
                assert await client.rest() == b""

        tasks.start_soon(end)


async def test_a_server_does_not_wait_for_ever_to_end() -> None:
    limits = Limits(drain=0.05)
    content = infer(np.ones((1, 50_000), np.float32))
    async with AsyncExitStack() as stack:
        async with running(models_of(backend_of("W")), limits=limits) as server:
            client = await stack.enter_async_context(server.client())
            await client.send(content[:100_000])
            await server.begun(longer_than=99_000)  # what nobody has read would make it a reset
        assert await client.rest() == b""


async def test_tls(certified: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    tls, trusting = certified
    large = np.random.default_rng(0).random((1, 300_000), np.float32)
    async with running(models_of(backend_of("W")), tls=tls) as server:
        stream = await anyio.connect_tcp(
            "127.0.0.1", server.port, tls=True, ssl_context=trusting, tls_hostname="localhost"
        )
        async with stream:
            client = Client(stream)
            for x in (X, large):
                np.testing.assert_array_equal((await client.ask(infer(x))).y, 2 * x)
            assert (await client.ask(LIVE)).status == 200


async def test_who_does_not_finish_a_handshake(
    certified: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    tls, trusting = certified
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        trusting.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    async with running(models_of(backend_of()), limits=Limits(head=0.1), tls=tls) as server:
        for sent in (b"", outgoing.read()):
            async with server.client() as client:
                if sent:
                    await client.send(sent)
                await client.rest()  # until it ends, in less than the patience of tests
