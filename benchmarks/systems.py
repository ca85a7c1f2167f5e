"""The systems under measurement, each as a context manager that yields its `infer`.

Libraries are imported when their system is opened, so that a sample's process holds only its own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.yardsticks import Array, Model, Null, SlabBatcher

if TYPE_CHECKING:
    from trtasync.testing import FunctionBackend

Infer = Callable[[Array], Awaitable[Array]]
Open = Callable[[], AbstractAsyncContextManager[Infer]]

COLUMNS = 3072
CLASSES = 10
IMAGE = 150_528
"""Columns of a row as large as an image of 3 x 224 x 224: 602 KB."""
MAX_BATCH_SIZE = 32
WEIGHTS: Array = np.random.default_rng(7).standard_normal((COLUMNS, CLASSES), dtype=np.float32)


def model(rows: Array) -> Array:
    """The model of all systems: float32[n, 3072] -> float32[n, 10]."""
    return rows @ WEIGHTS


def first_columns(rows: Array) -> Array:
    """The model for rows of `IMAGE`: its cost is negligible compared with moving them."""
    return np.ascontiguousarray(rows[:, :CLASSES])


def echo(rows: Array) -> Array:
    """No model."""
    return rows


MODELS: dict[str, Model] = {"product": model, "first columns": first_columns, "echo": echo}


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
    """The public batcher with its defaults (rows wait up to 10 ms)."""
    return _async_batcher()


def async_batcher_best() -> AbstractAsyncContextManager[Infer]:
    """The public batcher at its best: no waiting, the model inline on the loop."""
    return _async_batcher(max_queue_time=0)


def backend(model: Model = model, columns: int = COLUMNS) -> "FunctionBackend":
    """A model for an engine of this project: a numpy function."""
    from trtasync import TensorSpec
    from trtasync.testing import FunctionBackend

    return FunctionBackend(
        model,
        inputs=[TensorSpec("x", np.dtype("float32"), ("N", columns))],
        outputs=[TensorSpec("y", np.dtype("float32"), ("N", CLASSES))],
    )


@asynccontextmanager
async def trtasync() -> AsyncIterator[Infer]:
    """This project, as a user would open it, with a numpy function as its model."""
    from trtasync import open_engine

    async with open_engine(backend(), max_batch_size=MAX_BATCH_SIZE) as engine:
        yield engine.infer


SYSTEMS: dict[str, Open] = {
    "null": null,
    "slab": slab,
    "async-batcher": async_batcher_default,
    "async-batcher-best": async_batcher_best,
    "trtasync": trtasync,
}
