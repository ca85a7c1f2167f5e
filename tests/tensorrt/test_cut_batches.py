"""A batch that was cut: what its slot still knows of rows that went elsewhere counts no more."""

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support.doubles import models
from support.doubles.kernels import view
from support.helpers import Array, at_once, row, same, until
from tests.tensorrt.devices import Dlpack
from tests.tensorrt.support import engine_on, tensor
from trtasync import CudaError, Engine

pytestmark = pytest.mark.anyio

SIZES = (1, 2, 4, 8, 16, 32)
FIRST, SECOND = 15, 9
"""Rows of two requests: 24 would run as 32, the first alone runs as 16."""


def pair() -> models.Model:
    """Two inputs, so that padding repeats the last row."""
    ranges = ((1, 4), (32, 4), (32, 4))
    inputs = [tensor("a", (-1, 4), ranges), tensor("b", (-1, 4), ranges)]
    kernel = models.host_kernel(lambda a, b: a * np.float32(2) + b)
    return models.Model("pair", inputs, [tensor("y", (-1, 4))], kernel)


def asked(value: float, rows: int) -> dict[str, Array]:
    return {name: np.full((rows, 4), value, np.float32) for name in ("a", "b")}


def teach(engine: Engine) -> None:
    """Let the engine believe that batches take (1 + 0.1 n) ms."""
    signature, _ = engine._reader.read(asked(0, 1))
    for _ in range(8):
        for size in SIZES:
            signature.queue.cost.learn(size, (1 + 0.1 * size) * 1e-3, 0.0)


async def test_its_padding_is_not_written_to_the_rest_of_it_on_the_device(tmp_path: Path) -> None:
    async with engine_on(tmp_path, pair(), max_batch_size=32, streams=2) as (engine, _):
        teach(engine)
        pump = engine._core.pump
        launch = pump._launch
        held: list[Any] = []

        def late(batch: Any) -> bool:
            if held:
                return launch(batch)
            held.append(batch)  # as when a copy thread is still at work for it
            return False

        pump._launch = late  # type: ignore[method-assign]  # the first batch waits
        answers: dict[int, Any] = {}

        async def ask(value: int, rows: int) -> None:
            answers[value] = await engine.infer(asked(value, rows), outputs="device")

        policy = engine._core.policy
        choose = policy.next_batch
        policy.next_batch = lambda now: None  # type: ignore[method-assign]  # until both are in
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, 1, FIRST)
            await until(lambda: policy.queued == FIRST)
            tasks.start_soon(ask, 7, SECOND)
            await until(lambda: policy.queued == FIRST + SECOND)
            policy.next_batch = choose  # type: ignore[method-assign]
            engine._core.loop.wake()
            await until(lambda: 7 in answers)
            assert held[0].size == FIRST
            second = answers[7]["y"]
            seen = view(second.address, second.shape, second.dtype)
            assert same(seen.copy(), np.full((SECOND, 4), 21, np.float32))
            launch(held.pop())
            held.append(None)
        assert same(seen.copy(), np.full((SECOND, 4), 21, np.float32))
        first = answers[1]["y"]
        expected = np.full((FIRST, 4), 3, np.float32)
        assert same(view(first.address, first.shape, first.dtype).copy(), expected)
        del first, second, seen
        answers.clear()


async def test_padding_of_a_batch_that_was_refused_counts_no_more(tmp_path: Path) -> None:
    async with engine_on(tmp_path, pair(), max_batch_size=4, streams=1) as (engine, gpu):
        gpu.world.fail("cudaGraphLaunch", "cudaErrorInvalidValue")
        with pytest.raises(CudaError, match="InvalidValue"):
            await engine.infer(asked(9, 3))  # runs as 4
        with ExitStack() as stack:
            wanted = [
                {name: stack.enter_context(closing(Dlpack(row(n)))) for name in ("a", "b")}
                for n in range(4)
            ]
            answers = await at_once(engine, wanted)
        assert [answer["y"][0] for answer in answers] == [0, 3, 6, 9]
        assert engine.statistics().batches == 1
