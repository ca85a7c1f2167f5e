"""A client that sends bytes as they are, and reads strictly what comes back."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
from anyio.abc import ByteStream

from support.helpers import PATIENCE, Array, until
from tests.server.messages import binary, body, parsed
from trtasync.server.asgi import application
from trtasync.server.fast import FastServer
from trtasync.server.fast.connection import Connection
from trtasync.server.fast.limits import Limits
from trtasync.server.models import Models
from trtasync.server.protocol.answers import JSON_LENGTH


class Answer(NamedTuple):
    """Of a server."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """What a refusal says, in the protocol's form."""
        told = json.loads(self.body)
        assert list(told) == ["error"]
        text: str = told["error"]
        return text

    @property
    def y(self) -> Array:
        """The output."""
        assert self.status == 200, self.body
        outputs: dict[str, Array] = parsed(self.body, self.headers.get(JSON_LENGTH))[1]
        return outputs["y"]


class Client:
    """One connection."""

    def __init__(self, stream: ByteStream):
        self.stream = stream
        self._come = b""

    async def send(self, content: bytes) -> None:
        """As it is."""
        await self.stream.send(content)

    async def answer(self, to: str = "GET") -> Answer:
        """The next answer, as one to a request of this method."""
        with anyio.fail_after(PATIENCE):
            while b"\r\n\r\n" not in self._come:
                self._come += await self.stream.receive()
            head, _, self._come = self._come.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            pairs = [line.split(": ", 1) for line in lines]
            headers = {name.lower(): value for name, value in pairs}
            assert len(headers) == len(pairs), f"a header twice in {lines}"
            version, status, *_ = first.split(" ")
            assert version == "HTTP/1.1"
            if status != "100" and to != "HEAD":
                content = await self._body(headers)
            else:
                content = b""
            return Answer(int(status), headers, content)

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self._bytes(int(headers["content-length"]))
        if "transfer-encoding" not in headers:
            assert headers["connection"] == "close"
            return await self.rest()
        pieces: list[bytes] = []
        while True:
            while b"\r\n" not in self._come:
                self._come += await self.stream.receive()
            line, _, self._come = self._come.partition(b"\r\n")
            piece = await self._bytes(int(line, 16) + 2)
            assert piece.endswith(b"\r\n")
            if len(piece) == 2:
                return b"".join(pieces)
            pieces.append(piece[:-2])

    async def _bytes(self, count: int) -> bytes:
        while len(self._come) < count:
            self._come += await self.stream.receive()
        content, self._come = self._come[:count], self._come[count:]
        return content

    async def rest(self) -> bytes:
        """What comes until the server ends the connection."""
        with anyio.fail_after(PATIENCE):
            try:
                while True:
                    self._come += await self.stream.receive()
            except anyio.EndOfStream:
                content, self._come = self._come, b""
                return content

    async def ask(self, content: bytes) -> Answer:
        """Send, and read the answer."""
        await self.send(content)
        return await self.answer("HEAD" if content.startswith(b"HEAD") else "GET")


class Running:
    """A server that listens."""

    def __init__(self, server: FastServer, models: Models, port: int):
        self.server = server
        self.models = models
        self.port = port

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """A connection to it."""
        async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
            yield Client(stream)

    async def connections(self, count: int) -> list[Connection]:
        """Those of the server, as soon as there are so many."""
        connections = self.server.connections
        await until(lambda: len(connections) == count)
        return list(connections)

    async def begun(self, longer_than: int = 0) -> None:
        """Wait until so much of a request has come, be it of its head or of its body."""

        def has_come() -> bool:
            return any(each.pending > longer_than for each in self.server.connections)

        await until(has_come)

    def time_out(self) -> None:
        """As if the `timeout` had passed of each request that the engine has."""
        for connection in list(self.server.connections):
            if connection._asked is not None:
                connection._expire(connection._asked)

    def pass_time(self, seconds: int) -> None:
        """As if so much had gone by."""
        for _ in range(seconds):
            self.server.tick += 1
            self.server.look_round()


@asynccontextmanager
async def running(
    models: Models, app: Any = None, limits: Limits | None = None, **options: Any
) -> AsyncIterator[Running]:
    """A server of these models."""
    door = socket.create_server(("127.0.0.1", 0))
    port = door.getsockname()[1]
    async with models:
        server = FastServer(models, app or application(models, model_control=True), limits)
        async with server.listening(door, **options):
            yield Running(server, models, port)


def request(
    method: str = "GET",
    path: str = "/v2",
    content: bytes = b"",
    *headers: str,
    version: str = "1.1",
) -> bytes:
    """One request."""
    lines = [f"{method} {path} HTTP/{version}", "Host: a", *headers]
    if content and not any("transfer-encoding" in line.lower() for line in headers):
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode() + content


def infer(x: Array, *headers: str, **more: Any) -> bytes:
    """A request for the model "m" in binary."""
    asked = {
        "inputs": [binary("x", x.shape, "FP32")],
        "parameters": {"binary_data_output": True, **more.pop("parameters", {})},
        **more,
    }
    content, length = body(asked, x)
    return request("POST", "/v2/models/m/infer", content, f"{JSON_LENGTH}: {length}", *headers)
