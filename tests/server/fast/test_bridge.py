"""Applications behind the fast door: what ASGI promises them, and what their mistakes come to."""

import json
import logging
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from support.helpers import until
from tests.server.fast.clients import request, running
from trtasync.server.fast.limits import Limits
from trtasync.server.models import Models

pytestmark = pytest.mark.anyio

CHUNKED = "Transfer-Encoding: chunked"


async def echo(request: Request) -> Response:
    """What came, as the application sees it."""
    scope = request.scope
    told = {key: scope[key] for key in ("method", "path", "http_version", "scheme", "root_path")}
    told["query"] = scope["query_string"].decode()
    told["raw_path"] = scope["raw_path"].decode()
    told["headers"] = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
    told["body"] = (await request.body()).decode()
    told["client"] = scope["client"][0]
    told["server"] = scope["server"][0]
    return JSONResponse(told)


async def pieces(request: Request) -> Response:
    """An answer of a length that nobody knows."""

    async def each() -> Any:
        for piece in (b"one", b"", b"two" * 1000):
            yield piece

    return StreamingResponse(each())


APP = Starlette(
    routes=[
        Route("/echo/{rest:path}", echo, methods=["GET", "POST"]),
        Route("/pieces", pieces),
        Route("/nothing", lambda request: Response(status_code=204)),
    ]
)


async def test_a_request_is_as_it_was_sent() -> None:
    async with running(Models(), APP) as server, server.client() as client:
        for body in (b"some", b"2\r\nso\r\n2\r\nme\r\n0\r\n\r\n"):
            headers = ("X-Y: \xe9", "x-y: b", *((CHUNKED,) if b"\r" in body else ()))
            sent = request("POST", "/echo/a%20b%2Fc?q=%201", body, *headers)
            answer = await client.ask(sent.decode().encode("latin-1"))
            told = json.loads(answer.body)
            assert (told["method"], told["path"]) == ("POST", "/echo/a b/c")
            assert (told["raw_path"], told["query"]) == ("/echo/a%20b%2Fc", "q=%201")
            assert (told["http_version"], told["scheme"]) == ("1.1", "http")
            assert told["headers"][1:3] == [["x-y", "\xe9"], ["x-y", "b"]]
            assert (told["client"], told["server"]) == ("127.0.0.1", "127.0.0.1")
            assert told["body"] == "some"


async def test_an_answer_in_pieces() -> None:
    expected = b"one" + b"two" * 1000
    async with running(Models(), APP) as server:
        async with server.client() as client:
            for _ in range(2):
                answer = await client.ask(request(path="/pieces"))
                assert answer.headers["transfer-encoding"] == "chunked"
                assert answer.body == expected
            assert (await client.ask(request("HEAD", "/pieces"))).body == b""
            assert (await client.ask(request(path="/pieces"))).body == expected
        async with server.client() as client:
            answer = await client.ask(request(path="/pieces", version="1.0"))
            assert "transfer-encoding" not in answer.headers
            assert answer.body == expected


async def test_an_answer_without_a_body() -> None:
    async with running(Models(), APP) as server, server.client() as client:
        await client.send(request(path="/nothing") + request(path="/pieces"))
        answer = await client.answer("HEAD")
        assert (answer.status, "content-length" in answer.headers) == (204, False)
        assert (await client.answer()).status == 200


class Wrong:
    """An application that makes mistakes, by path."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Make one."""
        start = {"type": "http.response.start", "status": 200, "headers": []}
        match scope["path"]:
            case "/raises":
                raise ZeroDivisionError("a secret")
            case "/says nothing":
                return
            case "/splits":
                start["headers"] = [(b"x", b"a\r\nSet-Cookie: b")]
                await send(start)
            case "/stops":
                await send(start)
                await send({"type": "http.response.body", "body": b"some", "more_body": True})
                raise ZeroDivisionError("a secret")
            case "/stops short" | "/goes too far":
                size = b"3" if "far" in scope["path"] else b"9"
                await send({**start, "headers": [(b"content-length", size)]})
                await send({"type": "http.response.body", "body": b"ok", "more_body": True})
                await send({"type": "http.response.body", "body": b"ok"})
            case "/goes on":
                await send({**start, "headers": [(b"content-length", b"2")]})
                await send({"type": "http.response.body", "body": b"ok"})
                raise ZeroDivisionError("a secret")
            case "/says too much" | "/says too little":
                size = b"1" if "much" in scope["path"] else b"3"
                await send({**start, "headers": [(b"content-length", size)]})
                await send({"type": "http.response.body", "body": b"ok"})
            case "/interferes":
                headers = [
                    (b"Date", b"never"),
                    (b"Connection", b"close"),
                    (b"Transfer-Encoding", b"chunked"),
                    (b"x", b"y"),
                ]
                await send({**start, "headers": headers})
                await send({"type": "http.response.body", "body": b"ok"})
            case _:
                await send({**start, "status": 999})
                await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize(
    "path",
    ["/raises", "/says%20nothing", "/splits", "/says%20too%20much", "/says%20too%20little"],
)
async def test_a_mistake_before_the_answer(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async with running(Models(), Wrong()) as server, server.client() as client:
        with caplog.at_level(logging.ERROR, "trtasync"):
            for _ in range(2):
                answer = await client.ask(request(path=path))
                assert answer.status == 500
                assert "secret" not in answer.error
                assert "Cookie" not in str(answer.headers)
        assert "Traceback" in caplog.text
        answer = await client.ask(request())
        assert (answer.status, answer.body) == (999, b"ok")


@pytest.mark.parametrize("path", ["/stops", "/stops%20short", "/goes%20too%20far"])
async def test_a_mistake_in_the_midst_of_the_answer(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client must not take what it has for the whole, nor what follows for its next answer."""
    async with running(Models(), Wrong()) as server, server.client() as client:
        await client.send(request(path=path))
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await client.answer()
    assert "in the midst" in caplog.text


async def test_a_mistake_after_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    async with running(Models(), Wrong()) as server, server.client() as client:
        for _ in range(2):
            assert (await client.ask(request(path="/goes%20on"))).body == b"ok"
    assert "after its answer" in caplog.text


async def test_how_an_answer_travels_is_not_the_applications_affair() -> None:
    async with running(Models(), Wrong()) as server, server.client() as client:
        answer = await client.ask(request(path="/interferes"))
        assert (answer.body, answer.headers["x"]) == (b"ok", "y")
        assert answer.headers["date"] != "never"
        assert answer.headers["connection"] == "close"  # as it wished
        assert "transfer-encoding" not in answer.headers
        assert await client.rest() == b""


async def test_an_application_is_told_that_its_client_left() -> None:
    told: list[str] = []

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        told.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"nobody reads this"})

    async with running(Models(), listening) as server:
        async with server.client() as client:
            await client.send(request())
            await until(lambda: bool(server.server.exchanges))
        await until(lambda: bool(told))
        await until(lambda: not server.server.exchanges)
    assert told == ["http.disconnect"]


async def test_an_application_waits_for_its_client_to_read() -> None:
    sent = 0

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
            sent += 1
        await send({"type": "http.response.body", "body": b""})

    async with running(Models(), endless) as server:
        async with server.client() as client:
            await client.send(request())
            (connection,) = await server.connections(1)
            await until(lambda: connection.is_blocked)
            held_back = sent
            for _ in range(200):
                await client.stream.receive()
            await until(lambda: sent > held_back and connection.is_blocked)
            assert sent < 500
        await until(lambda: not server.server.exchanges)
    assert sent <= 1000


async def test_who_has_read_all_of_a_long_answer_has_time_to_read_on() -> None:
    """However long ago he asked."""
    pieces, (give, take) = 0, anyio.create_memory_object_stream[bytes](0)

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with take:
            async for piece in take:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with running(Models(), slow) as server, server.client() as client:
        await client.send(request())
        (connection,) = await server.connections(1)
        await give.send(b"first")
        await until(lambda: bool(server.server.exchanges))
        server.pass_time(1000)
        while not connection._wire.unread:  # what lies in the sockets is as good as read
            await give.send(bytes(16 << 10))
            await anyio.lowlevel.checkpoint()
            pieces += 1
        assert not connection.is_blocked
        server.pass_time(5)
        give.close()
        assert len((await client.answer()).body) == len(b"first") + pieces * (16 << 10)


async def test_an_application_that_does_not_end_is_ended() -> None:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        await anyio.sleep_forever()

    limits = Limits(drain=0.05)
    async with running(Models(), never, limits) as server, server.client() as client:
        await client.send(request())
        await until(lambda: bool(server.server.exchanges))
    assert not server.server.exchanges
