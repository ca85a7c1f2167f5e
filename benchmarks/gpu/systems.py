"""The engine and design A as the benchmarks open them."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.gpu.design_a import DesignA
from benchmarks.gpu.works import Work
from benchmarks.gpu.yardsticks import Lane
from support.gpu.plans import BUCKETS, opened


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
