"""POST .../infer over ASGI."""

from functools import partial
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response

from trtasync.model.arrays import Array
from trtasync.server.beside import beside
from trtasync.server.departures import while_connected
from trtasync.server.deployments import Deployment
from trtasync.server.models import Models
from trtasync.server.protocol.answers import JSON_LENGTH, Answer, is_large
from trtasync.server.protocol.bodies import choose_encoding, compress
from trtasync.server.protocol.codec import json_size
from trtasync.server.protocol.numbers import LARGE_JSON
from trtasync.server.protocol.requests import Plan
from trtasync.server.receiving import one_value, read_body

BESIDE_THE_LOOP = 1 << 16
"""An answer of at least this many bytes is compressed in a thread: it takes a millisecond or
more."""


class Inference:
    """Answers requests for models."""

    def __init__(self, models: Models, max_body: int, compress_answers: bool, watch_clients: bool):
        """See `asgi.application`."""
        self._models = models
        self._max_body = max_body
        self._compress_answers = compress_answers
        self._watch_clients = watch_clients

    async def __call__(self, request: Request) -> Response:
        """Read, run and answer a request. Raises whatever it fails with."""
        answer = await self._answer(request)
        return await self._respond(answer, request.headers.get("accept-encoding", ""))

    async def _answer(self, request: Request) -> Answer:
        name, version = request.path_params["model"], request.path_params.get("version")
        json_length = one_value(request.headers, JSON_LENGTH)
        self._models.deployed(name, version)  # refuses before the body is received
        body = await read_body(request, self._max_body)
        deployment = self._models.deployed(name, version)
        codec = deployment.codec
        with deployment.users:
            if json_size(json_length, len(body)) > LARGE_JSON:
                plan, id, binary = await beside(codec.read, body, json_length)
            else:
                plan, id, binary = codec.read(body, json_length)
            arrays = plan.arrays(binary)
            run = partial(_run, deployment, plan, arrays)
            outputs: dict[str, Array] = await (
                while_connected(request.receive, run) if self._watch_clients else run()
            )
        if is_large(plan, outputs):
            return await beside(codec.answer, plan, id, outputs)
        return codec.answer(plan, id, outputs)

    async def _respond(self, answer: Answer, accepted: str) -> Response:
        content = b"".join(answer.parts)
        encoding = choose_encoding(accepted) if self._compress_answers else None
        headers = answer.headers
        if self._compress_answers:
            headers["vary"] = "accept-encoding"
        if encoding is not None:
            headers["content-encoding"] = encoding
            if len(content) < BESIDE_THE_LOOP:
                content = compress(content, encoding)
            else:
                content = await beside(compress, content, encoding)
        return Response(content, headers=headers)


async def _run(deployment: Deployment, plan: Plan, arrays: dict[str, Array]) -> Any:
    if plan.timeout is None:
        return await deployment.engine.infer(arrays, priority=plan.priority)
    with anyio.fail_after(plan.timeout):
        return await deployment.engine.infer(arrays, priority=plan.priority)
