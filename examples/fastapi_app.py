"""An engine in a FastAPI app: `uvicorn examples.fastapi_app:app`.

`python -m examples.fastapi_app` starts that server too, and asks it with 64 clients at once.
"""

import socket
from http import HTTPStatus
from pathlib import Path

import anyio
import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from starlette.routing import Route

import trtasync
from examples.digit_lines import WINDOW, decode, lines
from trtasync.integrations.starlette import (
    answer_failure,
    exception_handlers,
    health,
    infer,
    lifespan,
)

MODEL = Path(__file__).parent / "models" / "digits_line.onnx"
HEIGHT = 8

app = FastAPI(
    lifespan=lifespan(
        lines=lambda: trtasync.open_engine(MODEL, max_batch_size=16, max_queue_size=256)
    ),
    exception_handlers={**exception_handlers, TimeoutError: answer_failure},
    routes=[Route("/health", health)],
)


@app.post("/read")
async def read(request: Request) -> dict[str, str]:
    """Read a line of digits: the body is float32 [8, W], row-major, little-endian."""
    body = await request.body()
    width, rest = divmod(len(body), 4 * HEIGHT)
    if rest or width < WINDOW:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"no float32 [8, W >= 8] in {len(body)} bytes")
    image = np.frombuffer(body, "<f4").reshape(1, HEIGHT, width)
    with anyio.fail_after(10):
        return {"text": decode(await infer(request, "lines", image))}


async def main() -> None:
    """Be the server, and 64 clients of it."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as door:
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
        async with (
            anyio.create_task_group() as tasks,
            httpx.AsyncClient(base_url=url, timeout=30) as client,
        ):
            tasks.start_soon(server.serve, [door])
            await ask(client)
            server.should_exit = True


async def ask(client: httpx.AsyncClient) -> None:
    """Send 64 lines at once, and something that is none."""
    wanted = lines(64)
    texts = {}

    async def post(index: int) -> None:
        body = wanted[index].image.astype("<f4").tobytes()
        texts[index] = (await client.post("/read", content=body)).json()["text"]

    async with anyio.create_task_group() as tasks:
        for index in range(len(wanted)):
            tasks.start_soon(post, index)
    right = sum(texts[index] == line.text for index, line in enumerate(wanted))
    print(f"64 clients, {right} lines read without an error, e.g. {texts[0]}")
    print("a bad body:", (await client.post("/read", content=b"12345678")).text)
    print("health:", (await client.get("/health")).text)


if __name__ == "__main__":
    anyio.run(main)
