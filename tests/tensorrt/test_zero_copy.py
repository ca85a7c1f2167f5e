"""Requests that lie in pinned memory of the engine's own are gathered by the GPU, not copied."""

import gc
import io
import threading
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support import doubles
from support.doubles import models
from support.helpers import Array, ended, same, start
from tests.tensorrt.support import double, engine_on, launched, release, until_launched, write
from trtasync import Cut, Engine, InvalidInput, Pad, open_engine

pytestmark = pytest.mark.anyio

WIDTH = 64
ROW = WIDTH * 4


def wide(**more: Any) -> models.Model:
    return models.elementwise(double, width=WIDTH, most=4, **more)


def filled(engine: Engine, value: float, rows: int | None = None) -> Array:
    """A pinned array of our own."""
    array = engine.empty_input(rows)
    array[...] = value + np.arange(array.size).reshape(array.shape)
    return array


def forget(*lists: list[Any]) -> None:
    """Let go of what would keep pinned arrays beyond the engine's end."""
    for each in lists:
        each.clear()


OPTIONS: dict[str, Any] = {"inline_bytes": 0, "streams": 1, "graphs": False}


def copy_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "trtasync copy" in thread.name]


async def test_no_thread_of_ours_copies_what_the_gpu_can_fetch(tmp_path: Path) -> None:
    async with engine_on(tmp_path, wide(), **OPTIONS) as (engine, _):
        x = filled(engine, 3, rows=3)
        assert same(await engine.infer(x), double(x))
        assert not copy_threads()
        assert same(await engine.infer(x.copy()), double(x))
        assert copy_threads()  # so that is where rows of ordinary memory go
        del x


@pytest.mark.parametrize("mixed", [False, True])
async def test_many_share_a_batch(tmp_path: Path, mixed: bool) -> None:
    async with engine_on(tmp_path, wide(), **OPTIONS) as (engine, gpu):
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                inputs = [filled(engine, index) for index in range(7)]
                if mixed:
                    inputs[1::2] = [array.copy() for array in inputs[1::2]]
                callers = [start(tasks, engine, x) for x in inputs]
                await until_launched(gpu, launched(gpu) + 1)
                release(gpu)
        for x, caller in zip(inputs, callers, strict=True):
            assert same(caller.answer, double(x))
        forget(callers, inputs)
        del x, caller


async def test_rows_and_views(tmp_path: Path) -> None:
    async with engine_on(tmp_path, wide(), **OPTIONS) as (engine, _):
        x = filled(engine, 1, rows=11)  # more than the largest batch: it is split
        assert same(await engine.infer(x), double(x))
        assert same(await engine.infer(x[3:5]), double(x[3:5]))
        assert same(await engine.infer(x[2]), double(x[2]))
        assert same(await engine.infer(x[::2][:2]), double(x[::2][:2]))  # not contiguous: copied
        del x


async def test_memory_is_used_again_only_when_nothing_needs_it(tmp_path: Path) -> None:
    async with engine_on(tmp_path, wide(), **OPTIONS) as (engine, gpu):
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                x = filled(engine, 5)
                address, expected = x.ctypes.data, double(x)
                caller = start(tasks, engine, x)
                await until_launched(gpu, launched(gpu) + 1)
                del x
                gc.collect()
                assert engine.empty_input().ctypes.data != address  # the batch in flight reads it
                release(gpu)
        assert same(caller.answer, expected)
        gc.collect()
        again = [engine.empty_input() for _ in range(2)]
        assert address in [array.ctypes.data for array in again]
        again.clear()


async def test_a_cancelled_request_keeps_its_memory_until_the_batch_has_ended(
    tmp_path: Path,
) -> None:
    async with engine_on(tmp_path, wide(), **OPTIONS) as (engine, gpu):
        with gpu.world.held():
            async with anyio.create_task_group() as tasks:
                x = filled(engine, 5)
                address = x.ctypes.data
                caller = start(tasks, engine, x)
                await until_launched(gpu, launched(gpu) + 1)
                caller.scope.cancel()
                del x
                await ended(caller)
                gc.collect()
                assert engine.empty_input().ctypes.data != address
                release(gpu)


async def test_it_can_be_written_like_a_file(tmp_path: Path) -> None:
    async with engine_on(tmp_path, wide(), **OPTIONS) as (engine, _):
        content = np.arange(WIDTH, dtype=np.float32)
        x = engine.empty_input()
        assert io.BytesIO(content.tobytes()).readinto(x.data) == ROW
        assert same(await engine.infer(x), double(content))
        del x


async def test_an_array_outlives_its_engine(tmp_path: Path) -> None:
    path = write(tmp_path, wide())
    with doubles.install():
        async with open_engine(path, **OPTIONS) as engine:
            x = filled(engine, 1)
            await engine.infer(x)
        assert x[0] == 1  # still its memory
        del x  # freed now: the doubles look for leftovers


async def test_padded_rows_are_copied(tmp_path: Path) -> None:
    x_spec = models.Tensor("x", np.float32, (-1, -1), [((1, 1), (4, 16), (4, 64))])
    model = models.Model(
        "lines", [x_spec], [models.Tensor("y", np.float32, (-1, -1))], models.host_kernel(double)
    )
    cut = {"y": Cut(axis=1, length=lambda length: length)}
    padding = {"x": Pad(axis=1, sizes=[16, 64], outputs=cut)}
    async with engine_on(tmp_path, model, padding=padding, **OPTIONS) as (engine, _):
        x = engine.empty_input(shape=[10])
        x[...] = 7
        assert same(await engine.infer(x), double(x))
        del x


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rows": 0}, "rows must be a whole number"),
        ({"rows": True}, "rows must be a whole number"),
        ({"name": "z"}, "'z' is none of them"),
        ({"shape": [3]}, "does not accept rows of shape"),
        ({"shape": [64, 1]}, "does not accept rows of shape"),
    ],
)
async def test_what_it_cannot_be(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    async with engine_on(tmp_path, wide(), **OPTIONS) as (engine, _):
        with pytest.raises(InvalidInput, match=words):
            engine.empty_input(**arguments)
