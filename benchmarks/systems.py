"""The systems under measurement, each as a context manager that yields its `infer`.

Libraries are imported when their system is opened, so that a sample's process holds only its own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import numpy as np

from benchmarks.yardsticks import Array, Null, SlabBatcher

Infer = Callable[[Array], Awaitable[Array]]
Open = Callable[[], AbstractAsyncContextManager[Infer]]

COLUMNS = 3072
CLASSES = 10
MAX_BATCH_SIZE = 32
WEIGHTS: Array = np.random.default_rng(7).standard_normal((COLUMNS, CLASSES), dtype=np.float32)


def model(rows: Array) -> Array:
    """The model of all systems: float32[n, 3072] -> float32[n, 10]."""
    return rows @ WEIGHTS


@asynccontextmanager
async def null() -> AsyncIterator[Infer]:
    """Bare futures, no model."""
    yield Null().infer


@asynccontextmanager
async def slab() -> AsyncIterator[Infer]:
    """The hand-written yardstick."""
    yield SlabBatcher(model, COLUMNS, MAX_BATCH_SIZE).infer


@asynccontextmanager
async def _async_batcher(**options: float) -> AsyncIterator[Infer]:
    from async_batcher.batcher import AsyncBatcher

    class Batcher(AsyncBatcher):  # type: ignore[misc]
        async def process_batch(self, batch: list[Array]) -> list[Array]:
            return list(model(np.stack(batch)))

    batcher = Batcher(max_batch_size=MAX_BATCH_SIZE, **options)
    try:
        yield batcher.process
    finally:
        await batcher.stop(force=True)


def async_batcher_default() -> AbstractAsyncContextManager[Infer]:
    """The public batcher as it comes (rows wait up to 10 ms)."""
    return _async_batcher()


def async_batcher_best() -> AbstractAsyncContextManager[Infer]:
    """The public batcher at its best: no waiting, the model inline on the loop."""
    return _async_batcher(max_queue_time=0)


@asynccontextmanager
async def trtasync() -> AsyncIterator[Infer]:
    """This project, as a user would open it, with a numpy function as its model."""
    from trtasync import TensorSpec, open_engine
    from trtasync.testing import FunctionBackend

    backend = FunctionBackend(
        model,
        inputs=[TensorSpec("x", np.dtype("float32"), ("N", COLUMNS))],
        outputs=[TensorSpec("y", np.dtype("float32"), ("N", CLASSES))],
    )
    async with open_engine(backend, max_batch_size=MAX_BATCH_SIZE) as engine:
        yield engine.infer


SYSTEMS: dict[str, Open] = {
    "null": null,
    "slab": slab,
    "async-batcher": async_batcher_default,
    "async-batcher-best": async_batcher_best,
    "trtasync": trtasync,
}
