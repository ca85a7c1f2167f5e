"""Engines inside a Starlette application, and so inside FastAPI.

app = FastAPI(
    lifespan=lifespan(digits=lambda: trtasync.open_engine("digits.onnx")),
    exception_handlers=exception_handlers,
    routes=[Route("/health", health), Route("/metrics", metrics)],
)

@app.post("/digits")
async def read(request: Request) -> list[float]:
    x = await read_array(request, "<f4", (64,))
    return (await infer(request, "digits", x)).tolist()
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy.typing as npt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trtasync.errors import TrtasyncError
from trtasync.integrations.bodies import array_of
from trtasync.integrations.engines import (
    ENGINES,
    Engines,
    Opener,
    counts_of,
    engines_of,
    health_of,
    infer_for,
    opened,
)
from trtasync.server.prometheus.exposition import exposition
from trtasync.server.prometheus.families import Counted, families
from trtasync.server.receiving import read_body
from trtasync.server.responses import failure

State = Mapping[str, Engines]
Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

MAX_BODY = 64 << 20
"""Bytes of a body that are taken, as at the doors of our own servers."""


def lifespan(**openers: Opener) -> Callable[[Any], AbstractAsyncContextManager[State]]:
    """A lifespan that opens engines when the application starts, and drains them when it stops.

    Args:
        openers: of each engine a name and what opens it, such as
            `lambda: trtasync.open_engine("digits.onnx")`. Every start opens it anew.

    Returns:
        what Starlette and FastAPI take as `lifespan`. Handlers have the engines by their names in
        `request.state.engines`.
    """

    @asynccontextmanager
    async def lasting(app: Any) -> AsyncIterator[State]:
        async with opened(openers) as engines:
            yield {ENGINES: engines}

    return lasting


async def read_array(
    request: Request, dtype: npt.DTypeLike, shape: Sequence[int], *, max_body: int = MAX_BODY
) -> npt.NDArray[Any]:
    """The array that a request's body is, as `ndarray.tobytes` writes it; also gzip or deflate.

    Args:
        request: nothing of its body has been read yet.
        dtype: of the elements. Its byte order is the client's: "<f4" rather than `np.float32`.
        shape: lengths of the axes; -1 for one that the body decides.
        max_body: bytes that are taken, before and after decompression.

    Returns:
        a view of the body, which cannot be written to.

    Raises:
        InvalidInput: the body is no such array.
        Refusal: it is larger, damaged, or of an encoding that nobody here knows.
        ClientGone: the client left before the end of it.
    """
    return array_of(await read_body(request, max_body), dtype, shape)


async def infer(request: Request, name: str, inputs: Any, **options: Any) -> Any:
    """`Engine.infer` for as long as the client of `request` waits.

    Starlette lets a handler go on when its client has left; this withdraws the model's part of it.

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
    return await infer_for(request.receive, engines_of(request.state), name, inputs, options)


async def health(request: Request) -> Response:
    """200 while every engine of the lifespan has a stream to compute on, 503 otherwise.

    An endpoint: `Route("/health", health)`.
    """
    return JSONResponse(*health_of(engines_of(request.state)))


async def metrics(request: Request) -> Response:
    """The counts of the lifespan's engines for Prometheus, and what else its registry has.

    An endpoint: `Route("/metrics", metrics)`.
    """
    counts = await counts_of(engines_of(request.state))
    counted = [Counted(name, "1", statistics) for name, statistics in counts.items()]
    return await exposition(request, families(counted))


async def answer_failure(request: Request, error: Exception) -> Response:
    """What an exception of the library tells a client: a status, and `{"error": "..."}`.

    400: the input is none for this model. 413: too many rows. 429: the queue is full. 503: the
    engine is closed, its device lost, or its process being started anew. 500: the model failed.
    """
    return failure(error)


exception_handlers: dict[int | type[Exception], Handler] = {TrtasyncError: answer_failure}
"""For the `exception_handlers` of an application, to be added to others."""
