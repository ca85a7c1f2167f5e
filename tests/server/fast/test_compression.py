"""Answers are compressed at one door if they are at the other."""

import zlib
from typing import Any

import httpx
import numpy as np
import pytest

from support.helpers import rows
from tests.server.fast.clients import Answer, infer, running
from tests.server.messages import parsed
from tests.server.serving import models_of
from trtasync.server.asgi import application
from trtasync.server.fast import FastServer
from trtasync.server.protocol.answers import JSON_LENGTH
from trtasync.server.protocol.bodies import FORMS
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

X = rows([1, 2])
TOLD = ("content-type", "content-encoding", "vary", JSON_LENGTH)


def unpacked(answer: Answer) -> bytes:
    """Its body."""
    encoding = answer.headers.get("content-encoding")
    if encoding is None:
        return answer.body
    return zlib.decompress(answer.body, wbits=FORMS[encoding])


async def of_application(app: Any, asked: bytes) -> dict[str, str | None]:
    """What the application by itself says in the head of its answer."""
    head, _, body = asked.partition(b"\r\n\r\n")
    pairs = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://a", headers={"accept-encoding": ""}
    ) as client:
        response = await client.post("/v2/models/m/infer", content=body, headers=dict(pairs))
    return {name: response.headers.get(name) for name in TOLD}


@pytest.mark.parametrize("accepted", [None, "gzip", "deflate, gzip;q=0.5", "identity", "br"])
@pytest.mark.parametrize("compress", [False, True])
async def test_both_doors_say_the_same(accepted: str | None, compress: bool) -> None:
    models = models_of(ScriptedBackend(np.negative))
    app = application(models, compress_answers=compress)
    asked = infer(X, *([] if accepted is None else [f"Accept-Encoding: {accepted}"]))
    async with running(models, app) as server, server.client() as client:
        answer = await client.ask(asked)
        told = {name: answer.headers.get(name) for name in TOLD}
        assert told == await of_application(app, asked)
        is_small = compress and accepted in ("gzip", "deflate, gzip;q=0.5")
        assert ("content-encoding" in answer.headers) == is_small
        content = unpacked(answer)
        np.testing.assert_array_equal(parsed(content, answer.headers.get(JSON_LENGTH))[1]["y"], -X)


async def test_an_application_around_it_is_told_by_hand() -> None:
    models = models_of(ScriptedBackend(np.negative))
    app = application(models, compress_answers=True)

    async def around(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    async with models:
        head = infer(X, "Accept-Encoding: gzip").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        for compress, is_ours in ((None, True), (True, False)):
            server = FastServer(models, around, compress_answers=compress)
            assert (server.desk(server.heads.read(head)) is not None) == is_ours
