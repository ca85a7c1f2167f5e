"""Our own server, on uvloop: `... PORT KIND [GRPC_PORT]`. KIND is a key of `KINDS`."""

import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import anyio

from benchmarks.systems import IMAGE, MAX_BATCH_SIZE, backend, first_columns
from trtasync import open_engine
from trtasync.server.asgi import application
from trtasync.server.fast import FastServer
from trtasync.server.grpc import GrpcServer
from trtasync.server.models import Models
from trtasync.testing import FunctionBackend

KINDS: dict[str, Callable[[], FunctionBackend]] = {
    "rows": backend,
    "images": partial(backend, first_columns, IMAGE),
    "no model": partial(backend, first_columns),
}


async def serve(port: int, kind: str, grpc_ports: list[int]) -> None:
    """Both doors, until a signal."""
    models = Models()
    model = KINDS[kind]()
    models.add("rows", lambda: open_engine(model, max_batch_size=MAX_BATCH_SIZE))
    door = socket.create_server(("127.0.0.1", port), backlog=1024)
    async with AsyncExitStack() as serving:
        signals = serving.enter_context(anyio.open_signal_receiver(signal.SIGTERM))
        await serving.enter_async_context(models)
        fast = FastServer(models, application(models))
        await serving.enter_async_context(fast.listening(door))
        for grpc_port in grpc_ports:
            listening = GrpcServer(models).listening(f"127.0.0.1:{grpc_port}")
            await serving.enter_async_context(listening)
        await anext(signals)


def main() -> None:
    """Serve."""
    port, kind, *grpc_ports = sys.argv[1:]
    options = {"use_uvloop": True}
    anyio.run(serve, int(port), kind, [*map(int, grpc_ports)], backend_options=options)


if __name__ == "__main__":
    main()
