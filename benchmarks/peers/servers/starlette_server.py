"""A batcher of ours behind the smallest Starlette app: `... PORT SETTINGS BATCHER`.

BATCHER is a key of `benchmarks.systems.SYSTEMS`. `oip_server` is the project's own server.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.servers import port_and_best
from benchmarks.systems import SYSTEMS, Infer
from benchmarks.works import work


def app(batcher: str) -> Starlette:
    """One route: raw float32 in, raw float32 out."""
    infer: Infer

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        nonlocal infer
        async with SYSTEMS[batcher](work()) as infer:
            yield

    async def answer(request: Request) -> Response:
        row = np.frombuffer(await request.body(), np.float32)
        return Response((await infer(row)).tobytes(), media_type="application/octet-stream")

    return Starlette(routes=[Route("/infer", answer, methods=["POST"])], lifespan=lifespan)


def main() -> None:
    """Serve; at its best without an access log."""
    port, best = port_and_best()
    uvicorn.run(app(sys.argv[3]), port=port, log_level="warning" if best else None)


if __name__ == "__main__":
    main()
