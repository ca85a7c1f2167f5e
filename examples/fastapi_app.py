"""An engine in a FastAPI app: `uvicorn examples.fastapi_app:app`.

`python -m examples.fastapi_app` starts that server too, and asks it with 64 clients at once.
"""

import socket

import anyio
import uvicorn
from fastapi import FastAPI, Request
from starlette.routing import Route

from examples.digit_lines import decode
from examples.line_service import ask, image_of, open_model
from trtasync.integrations.starlette import (
    answer_failure,
    exception_handlers,
    health,
    infer,
    lifespan,
)

app = FastAPI(
    lifespan=lifespan(lines=open_model),
    exception_handlers={**exception_handlers, TimeoutError: answer_failure},
    routes=[Route("/health", health)],
)


@app.post("/read")
async def read(request: Request) -> dict[str, str]:
    """Read a line of digits."""
    image = image_of(await request.body())
    with anyio.fail_after(10):
        return {"text": decode(await infer(request, "lines", image))}


async def main() -> None:
    """Be the server, and 64 clients of it."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as door:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [door])
            await ask(f"http://127.0.0.1:{door.getsockname()[1]}")
            server.should_exit = True


if __name__ == "__main__":
    anyio.run(main)
