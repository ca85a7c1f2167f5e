"""The same models as `uvicorn_server`, behind the fast door."""

import signal
import socket

import anyio

from tests.server.uvicorn_server import models
from trtasync.server.asgi import application
from trtasync.server.fast import FastServer


async def main() -> None:
    """Serve until SIGTERM comes."""
    served = models()
    app = application(served, model_control=True)
    door = socket.create_server(("127.0.0.1", 0))
    host, port = door.getsockname()
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with served, FastServer(served, app).listening(door):
            print(f"{host}:{port}", flush=True)  # for who started it
            async for _ in signals:
                break


if __name__ == "__main__":
    anyio.run(main)
