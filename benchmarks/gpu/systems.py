"""The engine and design A as the benchmarks open, check and call them."""

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.design_a import DesignA
from benchmarks.gpu.works import Work
from benchmarks.gpu.yardsticks import Lane
from benchmarks.load import Sample, closed_loop
from support.gpu.hardware import Array
from support.gpu.plans import BUCKETS, opened

Infer = Callable[[Any], Awaitable[Any]]


@asynccontextmanager
async def ours(work: Work, streams: int, **options: Any) -> AsyncIterator[Any]:
    """The engine, opened from a plan's file as a user opens it."""
    options = {"streams": streams, "batch_sizes": list(BUCKETS), **options}
    with tempfile.TemporaryDirectory() as folder:
        async with opened(work.plan, Path(folder), **options) as engine:
            yield engine


@asynccontextmanager
async def design_a(lanes: Sequence[Lane]) -> AsyncIterator[DesignA]:
    """The hand-written batcher over lanes that stay the caller's."""
    batcher = DesignA(lanes)
    try:
        yield batcher
    finally:
        await batcher.aclose()


def in_pinned(engine: Any, source: Array, rows: int | None = None) -> Array:
    """A copy in a pinned array of the engine's, which the GPU fetches directly."""
    array: Array = engine.empty_input(rows)
    array[...] = source
    return array


async def check(work: Work, infer: Infer, rows: Sequence[Array], expected: Sequence[Array]) -> None:
    """Everybody at once: each must get its own answer.

    Raises:
        AssertionError: a caller got another's answer.
    """
    answers = await asyncio.gather(*(infer(row) for row in rows))
    for answer, wanted in zip(answers, expected, strict=True):
        room = work.near * float(np.abs(wanted).max())
        np.testing.assert_allclose(answer, wanted, rtol=0, atol=room)


async def load(infer: Infer, rows: Sequence[Any], seconds: float, warm_up: float = 0.0) -> Sample:
    """A closed loop, after a warm-up; how late the loop wakes tasks is measured, too.

    Garbage is collected before, and what remains is frozen: with torch loaded, a full collection
    takes 100 to 200 ms, and its timing would decide a sample.
    """
    if warm_up:
        await load(infer, rows, warm_up)
    gc.collect()
    gc.freeze()
    return await closed_loop(infer, rows, seconds, delays=True)
