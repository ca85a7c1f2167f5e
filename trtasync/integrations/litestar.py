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

from trtasync.errors import TrtasyncError
from trtasync.integrations.engines import (
    ENGINES,
    Opener,
    engines_of,
    health_of,
    infer_for,
    opened,
)
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
    """`Engine.infer(inputs, **options)` of the engine `name`, for as long as the client of
    `request` waits; see `trtasync.integrations.starlette.infer`. Litestar, too, lets a handler go
    on when its client has left."""
    receive: Any = request.receive  # typed by Litestar's own messages
    return await infer_for(receive, engines_of(request.app.state), name, inputs, options)


@get("/health")
async def health(request: AnyRequest) -> Response[dict[str, Any]]:
    """200 while every engine of the lifespan has a stream to compute on, 503 otherwise."""
    told, status = health_of(engines_of(request.app.state))
    return Response(told, status_code=status)


def answer_failure(request: AnyRequest, error: Exception) -> Response[bytes]:
    """What an exception tells a client; see `trtasync.integrations.starlette.answer_failure`."""
    told = failure_of(error)
    return Response(told.body, status_code=told.status, headers=told.headers, media_type=JSON)


Handler = Callable[[AnyRequest, Exception], Response[bytes]]

exception_handlers: dict[int | type[Exception], Handler] = {TrtasyncError: answer_failure}
"""For the `exception_handlers` of an application, to be added to others."""
