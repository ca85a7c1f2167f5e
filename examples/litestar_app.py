"""An engine in a Litestar app: `uvicorn examples.litestar_app:app`.

`python -m examples.litestar_app` starts that server too, and asks it with 64 clients at once.
"""

import socket
from typing import Any

import anyio
import uvicorn
from litestar import Litestar, Request, post

from examples.digit_lines import decode
from examples.line_service import ask, image_of, open_model
from trtasync.integrations.litestar import (
    answer_failure,
    exception_handlers,
    health,
    infer,
    lifespan,
)


@post("/read", status_code=200)
async def read(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Read a line of digits."""
    image = image_of(await request.body())
    with anyio.fail_after(10):
        return {"text": decode(await infer(request, "lines", image))}


app = Litestar(
    [read, health],
    lifespan=[lifespan(lines=open_model)],
    exception_handlers={**exception_handlers, TimeoutError: answer_failure},
    logging_config=None,  # it would have everybody's lines on stderr
)


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
