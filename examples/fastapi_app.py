"""An engine in a FastAPI app's lifespan: `uvicorn examples.fastapi_app:app`.

`python -m examples.fastapi_app` calls the app in process instead, with 64 clients at once.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import anyio
import httpx
import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

import trtasync
from examples.digit_lines import WINDOW, decode, lines

MODEL = Path(__file__).parent / "models" / "digits_line.onnx"
HEIGHT = 8


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the engine when the server starts; drain it when the server stops."""
    async with trtasync.open_engine(MODEL, max_batch_size=16, max_queue_size=256) as engine:
        app.state.engine = engine
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/read")
async def read(request: Request) -> dict[str, str]:
    """Read a line of digits: the body is float32 [8, W], row-major, little-endian."""
    body = await request.body()
    width, rest = divmod(len(body), 4 * HEIGHT)
    if rest or width < WINDOW:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"no float32 [8, W >= 8] in {len(body)} bytes")
    image = np.frombuffer(body, "<f4").reshape(1, HEIGHT, width)
    with anyio.fail_after(1):
        return {"text": decode(await request.app.state.engine.infer(image))}


@app.exception_handler(trtasync.QueueFull)
async def busy(request: Request, error: trtasync.QueueFull) -> JSONResponse:
    """Too much at once: say when to come back."""
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, error, {"Retry-After": "1"})


@app.exception_handler(trtasync.RequestTooLarge)
async def too_large(request: Request, error: trtasync.RequestTooLarge) -> JSONResponse:
    """More rows than the queue ever takes: coming back does not help."""
    return _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error)


@app.exception_handler(TimeoutError)
async def late(request: Request, error: TimeoutError) -> JSONResponse:
    """The deadline of `read` passed."""
    return _problem(HTTPStatus.GATEWAY_TIMEOUT, error)


@app.exception_handler(trtasync.InvalidInput)
async def bad(request: Request, error: trtasync.InvalidInput) -> JSONResponse:
    """The engine says what it was given, and what it takes."""
    return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, error)


def _problem(
    status: HTTPStatus, error: Exception, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status, headers)


async def main() -> None:
    """Be 64 clients."""
    wanted = lines(64)
    texts = {}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):

        async def post(index: int) -> None:
            body = wanted[index].image.astype("<f4").tobytes()
            texts[index] = (await client.post("/read", content=body)).json()["text"]

        async with anyio.create_task_group() as tasks:
            for index in range(len(wanted)):
                tasks.start_soon(post, index)
        right = sum(texts[index] == line.text for index, line in enumerate(wanted))
        print(f"64 clients, {right} lines read without an error, e.g. {texts[0]}")
        print("a bad body:", (await client.post("/read", content=b"12345678")).text)
        print("batches:", dict(app.state.engine.statistics().batch_sizes))


if __name__ == "__main__":
    anyio.run(main)
