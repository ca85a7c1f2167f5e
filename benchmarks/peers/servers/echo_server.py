"""The smallest possible Starlette app, behind uvicorn at its best: it echoes the body.

It has no model: this is the floor of a server on a web framework. `... PORT SETTINGS`
"""

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.servers import port_and_best


async def answer(request: Request) -> Response:
    """Return the body unchanged."""
    return Response(await request.body(), media_type="application/octet-stream")


def main() -> None:
    """Serve, without an access log."""
    port, _ = port_and_best()
    app = Starlette(routes=[Route("/infer", answer, methods=["POST"])])
    uvicorn.run(app, port=port, log_level="warning", loop="uvloop", http="httptools")


if __name__ == "__main__":
    main()
