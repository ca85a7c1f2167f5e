"""A model that waits for more requests than come, behind the fast door and that of gRPC."""

import signal
import socket

import anyio

from tests.server.serving import opener
from trtasync.server.asgi import application
from trtasync.server.fast import FastServer
from trtasync.server.grpc import GrpcServer
from trtasync.server.models import Models
from trtasync.server.prometheus.route import metrics
from trtasync.testing import ScriptedBackend

HOURS = 10_000.0


async def main() -> None:
    """Serve until SIGTERM comes."""
    models = Models()
    models.add("m", opener(ScriptedBackend(), max_queue_delay=HOURS))
    app = application(models, routes=[metrics(models, triton_names=True)])
    door = socket.create_server(("127.0.0.1", 0))
    host, port = door.getsockname()
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with (
            models,
            FastServer(models, app).listening(door),
            GrpcServer(models).listening("127.0.0.1:0") as grpc_port,
        ):
            print(f"{host}:{port} {host}:{grpc_port}", flush=True)  # for who started it
            async for _ in signals:
                break


if __name__ == "__main__":
    anyio.run(main)
