"""The same models as `uvicorn_server`, behind the gRPC door."""

import signal

import anyio

from support.helpers import tensor
from tests.server.serving import opener
from tests.server.uvicorn_server import models
from trtasync.server.grpc import GrpcServer
from trtasync.testing import ScriptedBackend

WIDE = 1 << 21
"""Elements of a row of the model "wide": 8 MiB."""


async def main() -> None:
    """Serve until SIGTERM comes."""
    served = models()
    served.add("wide", opener(wide(), max_batch_size=1))
    server = GrpcServer(served, model_control=True)
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with served, server.listening("127.0.0.1:0") as port:
            print(f"127.0.0.1:{port}", flush=True)  # for who started it
            async for _ in signals:
                break


def wide() -> ScriptedBackend:
    """A model of large rows, that doubles them."""
    inputs, outputs = [tensor("x", "N", WIDE)], [tensor("y", "N", WIDE)]
    return ScriptedBackend(lambda x: 2 * x, inputs=inputs, outputs=outputs)


if __name__ == "__main__":
    anyio.run(main)
