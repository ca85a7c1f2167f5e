"""A FastAPI app with an engine in its worker, or one that workers share; run by `web`.

The environment tells it what to open: MODEL is its path, SHARED "1" or "0". When it is ready, it
creates a file in FOLDER, named after its process ID.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response

import trtasync
from benchmarks.systems import MAX_BATCH_SIZE
from trtasync.integrations.starlette import exception_handlers, infer, lifespan

LINGER = 0.5
"""Seconds: the next sample starts a process of its own."""


def opened() -> Any:
    """The engine."""
    shared = {"shared": True, "linger": LINGER} if os.environ["SHARED"] == "1" else {}
    options: dict[str, Any] = {"max_batch_size": MAX_BATCH_SIZE, **shared}
    return trtasync.open_engine(os.environ["MODEL"], **options)


def ready() -> None:
    """Report that this worker is ready."""
    Path(os.environ["FOLDER"], str(os.getpid())).touch()


@asynccontextmanager
async def told(app: FastAPI) -> AsyncIterator[Any]:
    """The lifespan of the engine, and the file that reports it."""
    async with lifespan(rows=opened)(app) as state:
        ready()
        yield state


app = FastAPI(lifespan=told, exception_handlers=exception_handlers)


@app.post("/infer")
async def answer(request: Request) -> Response:
    """Raw float32 in and out."""
    row = np.frombuffer(await request.body(), np.float32)
    y = await infer(request, "rows", row)
    return Response(y.tobytes(), media_type="application/octet-stream")
