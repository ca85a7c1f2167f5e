"""The same small service in several frameworks, each on a genuine server in the test's own loop."""

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import numpy as np
import uvicorn
from aiohttp import web
from hypercorn.config import Config
from hypercorn.trio import serve as hypercorn_serve
from litestar import Litestar, Request, post
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.routing import Route

from support.helpers import PATIENCE, Array, until
from trtasync.integrations import aiohttp, litestar, starlette
from trtasync.integrations.engines import Opener

Read = Callable[[], Awaitable[bytes]]
Ask = Callable[[str, Any], Awaitable[Any]]

ASKED = {"double": "double", "unknown": "unknown", "late": "double"}
"""Paths, and which engine is asked there; "late" is past its deadline."""


async def numbers(path: str, read: Read, ask: Ask) -> list[float]:
    """The handler of all of them: numbers in, and what the engine makes of them."""
    x = np.array(json.loads(await read()), np.float32)
    with anyio.fail_after(-1 if path == "late" else PATIENCE):
        y: Array = await ask(ASKED[path], x)
    return y.tolist()  # type: ignore[no-any-return]  # numpy's stub


def starlette_app(opener: Opener) -> Starlette:
    """For hypercorn on trio."""

    async def handle(request: StarletteRequest) -> JSONResponse:
        ask = partial(starlette.infer, request)
        return JSONResponse(await numbers(request.url.path[1:], request.body, ask))

    return Starlette(
        lifespan=starlette.lifespan(double=opener),
        exception_handlers={
            **starlette.exception_handlers,
            TimeoutError: starlette.answer_failure,
        },
        routes=[
            Route("/health", starlette.health),
            *(Route(f"/{path}", handle, methods=["POST"]) for path in ASKED),
        ],
    )


def litestar_app(opener: Opener) -> Litestar:
    """For uvicorn."""

    @post([f"/{path}" for path in ASKED], status_code=200)
    async def handle(request: Request[Any, Any, Any]) -> list[float]:
        ask = partial(litestar.infer, request)
        return await numbers(request.url.path[1:], request.body, ask)

    return Litestar(
        [handle, litestar.health],
        lifespan=[litestar.lifespan(double=opener)],
        exception_handlers={**litestar.exception_handlers, TimeoutError: litestar.answer_failure},
        logging_config=None,
        openapi_config=None,
    )


def aiohttp_app(opener: Opener) -> web.Application:
    """For aiohttp's own server."""

    async def handle(request: web.Request) -> web.Response:
        async def ask(name: str, x: Any) -> Any:
            return await aiohttp.engine(request, name).infer(x)

        return web.json_response(await numbers(request.path[1:], request.read, ask))

    app = web.Application(middlewares=[aiohttp.answer_failures])
    app.cleanup_ctx.append(aiohttp.lifespan(double=opener))
    app.add_routes([web.post(f"/{path}", handle) for path in ASKED])
    app.add_routes([web.get("/health", aiohttp.health)])
    return app


@asynccontextmanager
async def on_hypercorn(opener: Opener) -> AsyncIterator[int]:
    """Starlette on trio; gives its port."""
    door = socket.create_server(("127.0.0.1", 0))
    port = door.getsockname()[1]
    config = Config.from_mapping(bind=[f"fd://{door.detach()}"], errorlog=None)
    ended = anyio.Event()
    async with anyio.create_task_group() as tasks:
        app: Any = starlette_app(opener)
        tasks.start_soon(
            partial(hypercorn_serve, app, config, shutdown_trigger=ended.wait, mode="asgi")
        )
        try:
            yield port
        finally:
            ended.set()


def on_uvicorn(opener: Opener) -> AbstractAsyncContextManager[int]:
    """Litestar on asyncio; gives its port."""
    return behind_uvicorn(litestar_app(opener))


@asynccontextmanager
async def behind_uvicorn(app: Any) -> AsyncIterator[int]:
    """An application of any kind on asyncio; gives its port."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    with socket.create_server(("127.0.0.1", 0)) as door:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [door])
            await until(lambda: server.started)
            try:
                yield door.getsockname()[1]
            finally:
                server.should_exit = True


@asynccontextmanager
async def on_aiohttp(opener: Opener, handler_cancellation: bool = True) -> AsyncIterator[int]:
    """aiohttp; gives its port."""
    runner = web.AppRunner(aiohttp_app(opener), handler_cancellation=handler_cancellation)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


Serving = Callable[[Opener], AbstractAsyncContextManager[int]]
