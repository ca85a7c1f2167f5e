"""Models that answer nobody, behind the fast door and that of gRPC.

"m" waits for more requests than come; "busy" never ends its first batch.
"""

import signal
import socket

import anyio

from tests.server.serving import held, opener
from trtasync.server.asgi import application
from trtasync.server.fast import FastServer
from trtasync.server.grpc import GrpcServer
from trtasync.server.models import Models
from trtasync.server.prometheus.route import metrics
from trtasync.testing import ScriptedBackend

HOURS = 10_000.0


async def main() -> None:
    """Serve until SIGTERM comes."""
    models, busy = Models(), ScriptedBackend()
    models.add("m", opener(ScriptedBackend(), max_queue_delay=HOURS))
    models.add("busy", opener(busy, streams=1))
    app = application(models, routes=[metrics(models, triton_names=True)])
    door = socket.create_server(("127.0.0.1", 0))
    host, port = door.getsockname()
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with (
            models,
            FastServer(models, app).listening(door),
            GrpcServer(models).listening("127.0.0.1:0") as grpc_port,
        ):
            with held(busy):
                print(f"{host}:{port} {host}:{grpc_port}", flush=True)  # for who started it
                async for _ in signals:
                    break


if __name__ == "__main__":
    anyio.run(main)
