"""An engine in a Starlette app on trio: `hypercorn --worker-class trio examples.trio_app:app`.

`python -m examples.trio_app` starts that server too, and asks it with 64 clients at once.
"""

import socket
from functools import partial
from typing import Any

import anyio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
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


async def read(request: Request) -> JSONResponse:
    """Read a line of digits."""
    image = image_of(await request.body())
    with anyio.fail_after(10):
        return JSONResponse({"text": decode(await infer(request, "lines", image))})


app: Any = Starlette(  # Hypercorn has types of its own for what it serves
    lifespan=lifespan(lines=open_model),
    exception_handlers={**exception_handlers, TimeoutError: answer_failure},
    routes=[Route("/read", read, methods=["POST"]), Route("/health", health)],
)


async def main() -> None:
    """Be the server, and 64 clients of it."""
    door = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{door.getsockname()[1]}"
    config = Config.from_mapping(bind=[f"fd://{door.detach()}"], errorlog=None)
    asked = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve, app, config, shutdown_trigger=asked.wait))
        await ask(address)
        asked.set()


if __name__ == "__main__":
    anyio.run(main, backend="trio")
