"""Engines inside a Litestar application.

@post("/digits", status_code=200)
async def read(request: Request[Any, Any, Any]) -> list[float]:
    x = np.frombuffer(await request.body(), np.float32)
    return (await infer(request, "digits", x)).tolist()

app = Litestar(
    [read, health],
    lifespan=[lifespan(digits=lambda: trtasync.open_engine("digits.onnx"))],
    exception_handlers=exception_handlers,
)
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.types import ExceptionHandlersMap

from trtasync.errors import TrtasyncError
from trtasync.integrations.engines import (
    ENGINES,
    Opener,
    engine_of,
    engines_of,
    health_of,
    opened,
)
from trtasync.server.departures import while_connected
from trtasync.server.failures import failure_of
from trtasync.server.protocol.refusals import JSON

AnyRequest = Request[Any, Any, Any]


def lifespan(**openers: Opener) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """One of an application's `lifespan`: it opens engines at the start, and drains them at the
    end.

    Args:
        openers: of each engine a name and what opens it, such as
            `lambda: trtasync.open_engine("digits.onnx")`. Every start opens it anew.

    Returns:
        what has the engines by their names in `app.state.engines`.
    """

    @asynccontextmanager
    async def lasting(app: Litestar) -> AsyncIterator[None]:
        async with opened(openers) as engines:
            app.state[ENGINES] = engines
            yield

    return lasting


async def infer(request: AnyRequest, name: str, inputs: Any, **options: Any) -> Any:
    """`Engine.infer` for as long as the client of `request` waits.

    Litestar lets a handler go on when its client has left; this withdraws the model's part of it.

    Args:
        request: whose body has been read.
        name: of the engine, as the lifespan was told.
        inputs: as `Engine.infer` takes them.
        options: likewise.

    Returns:
        what `Engine.infer` returns.

    Raises:
        ClientGone: the client left, so nobody gets what the handler returns.
        TrtasyncError: what `Engine.infer` raises; or the body has not been read.
    """
    engine = engine_of(engines_of(request.app.state), name)
    receive: Any = request.receive  # typed by Litestar's own messages
    return await while_connected(receive, lambda: engine.infer(inputs, **options))


@get("/health")
async def health(request: AnyRequest) -> Response[dict[str, Any]]:
    """200 while every engine of the lifespan has a stream to compute on, 503 otherwise."""
    told, status = health_of(engines_of(request.app.state))
    return Response(told, status_code=status)


def answer_failure(request: AnyRequest, error: Exception) -> Response[bytes]:
    """What an exception tells a client; see `trtasync.integrations.starlette.answer_failure`."""
    told = failure_of(error)
    return Response(told.body, status_code=told.status, headers=told.headers, media_type=JSON)


exception_handlers: ExceptionHandlersMap = {TrtasyncError: answer_failure}
"""For the `exception_handlers` of an application, to be added to others."""
