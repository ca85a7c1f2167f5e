"""The app of `ocr_service` in several worker processes, which share one engine.

`uvicorn --workers 4 examples.fastapi_workers:app`, or gunicorn as below. `python -m
examples.fastapi_workers` starts the first (or `... gunicorn` the other one) and asks it.
"""

import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import httpx
from fastapi import FastAPI, Request

import trtasync
from examples import ocr_service
from examples.digit_lines import lines
from examples.line_service import MODEL
from trtasync.integrations.starlette import answer_failure, exception_handlers, lifespan

APP = "examples.fastapi_workers:app"
SERVERS = {
    "uvicorn": f"uvicorn --workers 4 --log-level warning --port PORT {APP}",
    "gunicorn": "gunicorn --workers 4 --worker-class uvicorn_worker.UvicornWorker "
    f"--log-level warning --bind 127.0.0.1:PORT {APP}",
}


app = FastAPI(
    lifespan=lifespan(  # of each worker: the first one starts the engine's process
        lines=lambda: trtasync.open_engine(
            MODEL, max_batch_size=16, max_queue_size=256, shared=True, reconnect=2
        )
    ),
    exception_handlers={**exception_handlers, TimeoutError: answer_failure},
    routes=ocr_service.app.routes,
)


@app.get("/processes")
async def processes(request: Request) -> dict[str, int]:
    """Which worker answers, and where its engine is."""
    return {"worker": os.getpid(), "engine": request.state.engines["lines"].host_pid}


@contextmanager
def serving(server: str) -> Iterator[str]:
    """Run a server until the block ends; it may not listen yet.

    Args:
        server: one of `SERVERS`.

    Yields:
        its address.
    """
    with socket.socket() as kept:  # so that nobody else is given its port before the server begins
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = str(kept.getsockname()[1])
        command = SERVERS[server].replace("PORT", port).split()
        with subprocess.Popen([sys.executable, "-m", *command]) as process:
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()


async def ask(address: str, count: int = 64) -> tuple[int, Counter[int], set[int]]:
    """Be so many clients, each with a connection of its own.

    Returns:
        how many lines were read right, who answered how often, and where the engine was.
    """
    wanted = lines(count)
    right: list[bool] = []
    workers: Counter[int] = Counter()
    engines: set[int] = set()

    async def client(index: int) -> None:
        patient = httpx.AsyncHTTPTransport(retries=8)  # the server may not listen yet
        async with httpx.AsyncClient(transport=patient, base_url=address, timeout=30) as http:
            told = (await http.get("/processes")).json()
            workers[told["worker"]] += 1
            engines.add(told["engine"])
            body = wanted[index].image.astype("<f4").tobytes()
            answer = await http.post("/read", content=body)
            right.append(answer.json() == {"text": wanted[index].text})

    async with anyio.create_task_group() as tasks:
        for index in range(count):
            tasks.start_soon(client, index)
    return sum(right), workers, engines


def main(server: str = "uvicorn") -> None:
    """Start a server, and ask it."""
    with serving(server) as address:
        right, workers, engines = anyio.run(ask, address)
    print(f"{right} of 64 lines read without an error")
    print(f"{len(workers)} workers answered, from {len(engines)} engine")


if __name__ == "__main__":
    main(*sys.argv[1:])
