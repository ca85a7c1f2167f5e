"""What the tests of the TensorRT backend share: engines on the doubles, models, device arrays."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from anyio.lowlevel import checkpoint

from support import doubles
from support.doubles import Installed, models
from support.helpers import Array, until
from trtasync import Engine, open_engine
from trtasync.runtimes.tensorrt.lane import DEPTH, SLOTS

FILLERS = SLOTS - DEPTH
"""Full batches that have to come behind a forming one of a busy lane, so that what comes then finds
no slot but waits for its place in that forming batch."""


def double(x: Array) -> Array:
    """The network of most tests: exact in float32."""
    return x * np.float32(2) + np.float32(1)


def write(folder: Path, model: models.Model) -> Path:
    """A plan file of a model."""
    path = folder / f"{model.name}.plan"
    path.write_bytes(models.plan(model))
    return path


@asynccontextmanager
async def engine_on(
    folder: Path, model: models.Model | None = None, *, gpus: int = 1, **options: Any
) -> AsyncIterator[tuple[Engine, Installed]]:
    """An engine on the doubles; `double` where no model is given. All of it is gone afterwards."""
    path = write(folder, model or models.elementwise(double))
    with doubles.install(devices=gpus) as gpu:
        async with open_engine(path, **options) as engine:
            yield engine, gpu
        await checkpoint()  # asyncio holds the future that woke a task until the task waits again


def tensor(
    name: str, shape: Sequence[int], *profiles: models.Range, dtype: Any = np.float32, **more: Any
) -> models.Tensor:
    """A tensor in one line."""
    return models.Tensor(name, dtype, tuple(shape), profiles, **more)


def lines(function: Callable[..., Any] = double, longest: int = 64, **more: Any) -> models.Model:
    """x[n, length] -> y[n, length], 1 to 4 rows, lengths from 1 on."""
    x = tensor("x", (-1, -1), ((1, 1), (4, 16), (4, longest)))
    y = tensor("y", (-1, -1))
    kernel = more.pop("kernel", None) or models.host_kernel(function)
    return models.Model(more.pop("name", "lines"), [x], [y], kernel, **more)


def launched(gpu: Installed) -> int:
    """Batches put on streams so far: each ends in an event, and graphs are launched whole."""
    return gpu.world.calls["cudaGraphLaunch"] + gpu.context_calls["execute_async_v3"]


async def until_launched(gpu: Installed, count: int) -> None:
    """Wait for so many launches since the doubles were installed."""
    await until(lambda: launched(gpu) >= count)


def release(gpu: Installed) -> None:
    """Let the streams run on before `held` ends."""
    world = gpu.world
    with world.condition:
        world._held = False
        world.condition.notify_all()


def masked() -> models.Model:
    """ids[n, length], mask[n, length] -> y[n, 1], like a text encoder: one length for both."""

    def one_length(shapes: dict[str, models.Shape]) -> models.Shape:
        if shapes["ids"] != shapes["mask"]:
            raise RuntimeError("the network adds a mask to scores of another shape")
        return shapes["ids"][0], 1

    def sums(ids: Array, mask: Array) -> Array:
        return np.asarray((ids * mask).sum(axis=1, keepdims=True))

    range_ = ((1, 1), (4, 32), (4, 64))
    inputs = [tensor(name, (-1, -1), range_, dtype=np.int64) for name in ("ids", "mask")]
    y = tensor("y", (-1, 1), dtype=np.int64, infer=one_length)
    return models.Model("masked", inputs, [y], models.host_kernel(sums))
