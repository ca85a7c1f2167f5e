"""The FastAPI app of `ocr_service` under uvicorn, and 64 clients of it at once.

`python -m examples.fastapi_app`
"""

import socket

import anyio
import uvicorn

from examples.line_service import ask
from examples.ocr_service import app


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
