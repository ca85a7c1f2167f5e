"""The systems under measurement, each as a context manager that yields its `infer`.

Libraries are imported when their system is opened, so that a sample's process holds only its own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.yardsticks import Array, Model, Null, SlabBatcher

if TYPE_CHECKING:
    from trtasync import Engine
    from trtasync.testing import FunctionBackend


class Work(NamedTuple):
    """What a system is asked to compute.

    Attributes:
        name: of the model, a key of `benchmarks.works.MODELS`.
        model: float32[n, columns] -> float32[n, ...].
        columns: of a row.
        max_batch_size: of all systems.
        engine: one of ours for it, as a user would open it.
    """

    name: str
    model: Model
    columns: int
    max_batch_size: int
    engine: "Callable[[], AbstractAsyncContextManager[Engine]]"


Infer = Callable[[Array], Awaitable[Array]]
Open = Callable[[Work], AbstractAsyncContextManager[Infer]]

COLUMNS = 3072
CLASSES = 10
IMAGE = 150_528
"""Columns of a row as large as an image of 3 x 224 x 224: 602 KB."""
MAX_BATCH_SIZE = 32
WEIGHTS: Array = np.random.default_rng(7).standard_normal((COLUMNS, CLASSES), dtype=np.float32)


def model(rows: Array) -> Array:
    """The model of most benchmarks: float32[n, 3072] -> float32[n, 10]."""
    return rows @ WEIGHTS


def first_columns(rows: Array) -> Array:
    """The model for rows of `IMAGE`: its cost is negligible compared with moving them."""
    return np.ascontiguousarray(rows[:, :CLASSES])


def echo(rows: Array) -> Array:
    """No model."""
    return rows


@asynccontextmanager
async def null(_: Work) -> AsyncIterator[Infer]:
    """Bare futures, no model."""
    yield Null().infer


@asynccontextmanager
async def slab(work: Work) -> AsyncIterator[Infer]:
    """The hand-written yardstick."""
    yield SlabBatcher(work.model, work.columns, work.max_batch_size).infer


@asynccontextmanager
async def async_batcher(work: Work, **options: float) -> AsyncIterator[Infer]:
    """A public batcher, the model inline on the loop; rows wait 10 ms unless told otherwise."""
    from async_batcher.batcher import AsyncBatcher

    class Batcher(AsyncBatcher):  # type: ignore[misc]
        async def process_batch(self, batch: list[Array]) -> list[Array]:
            return list(work.model(np.stack(batch)))

    batcher = Batcher(max_batch_size=work.max_batch_size, **options)
    try:
        yield batcher.process
    finally:
        await batcher.stop(force=True)


def backend(model: Model = model, columns: int = COLUMNS) -> "FunctionBackend":
    """A model for an engine of this project: a numpy function."""
    from trtasync import TensorSpec
    from trtasync.testing import FunctionBackend

    return FunctionBackend(
        model,
        inputs=[TensorSpec("x", np.dtype("float32"), ("N", columns))],
        outputs=[TensorSpec("y", np.dtype("float32"), ("N", CLASSES))],
    )


def engine() -> "AbstractAsyncContextManager[Engine]":
    """An engine with the product as its model."""
    from trtasync import open_engine

    return open_engine(backend(), max_batch_size=MAX_BATCH_SIZE)


PRODUCT = Work("product", model, COLUMNS, MAX_BATCH_SIZE, engine)


@asynccontextmanager
async def trtasync(work: Work) -> AsyncIterator[Infer]:
    """This project."""
    async with work.engine() as engine:
        yield engine.infer


SYSTEMS: dict[str, Open] = {
    "null": null,
    "slab": slab,
    "async-batcher": async_batcher,
    "async-batcher-best": partial(async_batcher, max_queue_time=0),
    "trtasync": trtasync,
}
