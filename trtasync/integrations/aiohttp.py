"""Engines inside an aiohttp application.

async def read(request: web.Request) -> web.Response:
    x = np.frombuffer(await request.read(), np.float32)
    y = await engine(request, "digits").infer(x)
    return web.json_response(y.tolist())

app = web.Application(middlewares=[answer_failures])
app.cleanup_ctx.append(lifespan(digits=lambda: trtasync.open_engine("digits.onnx")))
app.add_routes([web.post("/digits", read), web.get("/health", health)])
web.run_app(app, handler_cancellation=True)

aiohttp cancels the handler of a client that has left only where it was asked to: without
`handler_cancellation=True` (of `run_app`, `AppRunner` and `Server`) its requests are computed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from trtasync.errors import TrtasyncError
from trtasync.integrations.engines import Engines, Opener, engine_of, health_of, opened
from trtasync.server.failures import failure_of
from trtasync.server.protocol.refusals import JSON
from trtasync.shared.protocol import AnyEngine

ENGINES: web.AppKey[Engines] = web.AppKey("engines", Engines)
"""Where the application has them, by their names: `request.app[ENGINES]`."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def lifespan(**openers: Opener) -> Callable[[web.Application], AsyncIterator[None]]:
    """One of an application's `cleanup_ctx`: it opens engines at the start, and drains them at the
    end.

    Args:
        openers: of each engine a name and what opens it, such as
            `lambda: trtasync.open_engine("digits.onnx")`. Every start opens it anew.
    """

    async def lasting(app: web.Application) -> AsyncIterator[None]:
        async with opened(openers) as engines:
            app[ENGINES] = engines
            yield

    return lasting


def engine(request: web.Request, name: str) -> AnyEngine:
    """The engine of this name, as the lifespan was told.

    Raises:
        TrtasyncError: there is none.
    """
    return engine_of(_engines(request), name)


async def health(request: web.Request) -> web.Response:
    """200 while every engine of the lifespan has a stream to compute on, 503 otherwise.

    A handler: `web.get("/health", health)`.
    """
    told, status = health_of(_engines(request))
    return web.json_response(told, status=status)


@web.middleware
async def answer_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A middleware: errors of the library are answered as `trtasync.integrations.starlette` does,
    and a deadline that has passed (TimeoutError) is 504."""
    try:
        return await handler(request)
    except (TrtasyncError, TimeoutError) as error:
        told = failure_of(error)
        return web.Response(
            body=told.body, status=told.status, headers=told.headers, content_type=JSON
        )


def _engines(request: web.Request) -> Engines:
    engines = request.config_dict.get(
        ENGINES
    )  # of the application, or of one that it is mounted in
    if engines is None:
        raise TrtasyncError("the application has no engines; give it a lifespan of this module.")
    return engines
