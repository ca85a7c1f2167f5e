"""Memory of clients on a GPU: locked for it, fetched by it, let go when it is through with it."""

import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.doubles import Installed, models
from support.helpers import Array, same, until
from support.wire import WireClient, infer, source
from tests.host.serving import Hosted, hosting, maps
from tests.tensorrt.support import double, engine_on, launched, release, until_launched
from trtasync import QueueFull
from trtasync.shared.records import Op

pytestmark = pytest.mark.anyio

WIDTH = 64
OPTIONS: dict[str, Any] = {"inline_bytes": 0, "streams": 1, "graphs": False}


@asynccontextmanager
async def on_gpu(folder: Path) -> AsyncIterator[tuple[Hosted, Installed]]:
    """A host of a model on the doubles, whose rows are not copied by the loop."""
    model = models.elementwise(double, width=WIDTH, most=4)
    async with engine_on(folder, model, **OPTIONS) as (engine, gpu), hosting(engine) as host:
        yield host, gpu


async def ready(host: Hosted, slots: int = 8) -> WireClient:
    """A client with slots."""
    client = host.connect()
    await client.greet()
    await client.share(slots, 1024)
    await client.form(0, (WIDTH,))
    return client


def locked(gpu: Installed) -> int:
    """Pieces of memory that are registered."""
    return sum(block.registered for block in gpu.world.allocations.values())


def content(value: int) -> Array:
    return value + np.arange(WIDTH, dtype=np.float32)


def copy_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "trtasync copy" in thread.name]


async def test_the_gpu_fetches_rows_from_where_clients_wrote_them(tmp_path: Path) -> None:
    async with on_gpu(tmp_path) as (host, gpu):
        client = await ready(host)
        assert locked(gpu) == 1
        for value in range(3):
            (answer,) = await client.infer(value, 0, content(value))
            assert same(answer, double(content(value)))
        client.memory(3)[: WIDTH * 4].view(np.float32)[:] = content(9)
        client.say(source(0, 3), infer(4, 0))
        record, _ = await client.expect(Op.DONE)
        assert same(client.read(4, 0, record.form)[0], double(content(9)))
        assert not copy_threads()  # who would have copied rows of ordinary memory


async def test_a_client_that_dies_leaves_its_memory_until_the_gpu_is_through(
    tmp_path: Path,
) -> None:
    gc.collect()
    before = maps()
    async with on_gpu(tmp_path) as (host, gpu):
        client, other = await ready(host), await ready(host)
        with gpu.world.held():
            for each in (client, other):
                each.put(0, 0, content(3))
                each.say(infer(0, 0))
            await until_launched(gpu, launched(gpu) + 1)
            client.close()
            client.segments.clear()
            await until(lambda: len(host.service.sessions) == 1)
            assert locked(gpu) == 2
            release(gpu)
        record, _ = await other.expect(Op.DONE)
        assert same(other.answer(0, 0, record.form)[0], double(content(3)))
        await other.infer(0, 0, content(4))  # the lane has seen another batch since
        gc.collect()
        await until(lambda: locked(gpu) == 1)
        other.close()
        other.segments.clear()
        await until(lambda: locked(gpu) == 0)
    gc.collect()
    assert maps() == before


async def test_what_the_gpu_does_not_lock_is_refused_and_not_kept(tmp_path: Path) -> None:
    async with on_gpu(tmp_path) as (host, gpu):
        client = await ready(host)
        gpu.world.fail("cudaHostRegister", "cudaErrorMemoryAllocation", 1)
        client.announce(4, 1024)
        refusal = await client.refusal(Op.MAPPED)
        assert isinstance(refusal, QueueFull)
        assert "cudaErrorMemoryAllocation" in str(refusal)
        client.say(infer(8, 0))
        assert isinstance(await client.refusal(Op.FAILED), QueueFull)
        gc.collect()
        assert host.service._books.all.used == 8 * 1024
        (answer,) = await client.infer(0, 0, content(1))
        assert same(answer, double(content(1)))
