"""Peers that can be called in process, each as a context manager that yields its `infer`.

Beside those of `benchmarks.systems`. A library is imported when it is opened: this runs in the
environment of one peer, with what the load needs (`catalogue.BASE`) and nothing else of ours.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

from benchmarks.systems import SYSTEMS, Infer, Open, Work
from benchmarks.yardsticks import Array

CALLERS = 64


def rows(work: Work) -> Callable[[list[Array]], Awaitable[list[Array]]]:
    """The model as most libraries want it, inline: many rows in, as many answers out."""

    async def run(batch: list[Array]) -> list[Array]:
        return list(work.model(np.stack(batch)))

    return run


@asynccontextmanager
async def batched(work: Work, **options: float) -> AsyncIterator[Infer]:
    """batched's asyncio decorator; rows wait up to 5 ms unless told otherwise."""
    from batched.aio import dynamically

    yield dynamically(rows(work), batch_size=work.max_batch_size, **options)


@asynccontextmanager
async def aioautobatch(work: Work, **options: float) -> AsyncIterator[Infer]:
    """aioautobatch's wrapper, whose calls give futures."""
    from aioautobatch import autobatch

    run = rows(work)

    async def unpacked(batch: list[tuple[Array]]) -> list[Array]:
        return await run([row for (row,) in batch])

    call = autobatch(unpacked, batch_size=work.max_batch_size, **options)

    async def infer(row: Array) -> Array:
        future = await call(row)
        answer: Array = await future
        return answer

    yield infer


@asynccontextmanager
async def fast_dynamic_batcher(
    work: Work, threads: int = 0, **options: float
) -> AsyncIterator[Infer]:
    """fast-dynamic-batcher: a thread per waiting request, the model in a child process."""
    from fast_dynamic_batcher.dyn_batcher import DynBatcher

    from benchmarks.peers.spawned import Rows

    if threads:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))
    batcher = DynBatcher(Rows, max_batch_size=work.max_batch_size, **options)
    try:
        yield batcher.process_batched
    finally:
        batcher.stop()


@asynccontextmanager
async def bentoml(work: Work) -> AsyncIterator[Infer]:
    """BentoML's dispatcher, taken out of its server: no public entry point."""
    from bentoml._internal.marshal.dispatcher import CorkDispatcher

    def fallback() -> NoReturn:
        raise RuntimeError("the dispatcher dropped the request")

    dispatcher: Any = CorkDispatcher(
        60_000, work.max_batch_size, fallback=fallback, get_batch_size=lambda row: 1
    )
    try:
        yield dispatcher(rows(work))
    finally:
        dispatcher.shutdown()


@asynccontextmanager
async def ray(work: Work, **options: float) -> AsyncIterator[Infer]:
    """Ray's `@serve.batch` outside a replica, the replica's context stubbed: no public use."""
    from ray import serve

    config = SimpleNamespace(max_ongoing_requests=4 * CALLERS)
    serve.get_replica_context = lambda: SimpleNamespace(
        _deployment_config=config, app_name="", deployment=""
    )

    yield serve.batch(max_batch_size=work.max_batch_size, **options)(rows(work))


OPEN: dict[str, Open] = {
    **SYSTEMS,
    "batched": batched,
    "batched-best": partial(batched, timeout_ms=0),
    "aioautobatch": aioautobatch,
    "aioautobatch-best": partial(aioautobatch, max_delay=0.05),
    "fast-dynamic-batcher": fast_dynamic_batcher,
    "fast-dynamic-batcher-best": partial(fast_dynamic_batcher, threads=CALLERS, max_delay=0.001),
    "bentoml": bentoml,
    "ray": ray,
    "ray-best": partial(ray, batch_wait_timeout_s=0),
}
