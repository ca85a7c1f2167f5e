"""Benchmarks on the doubles: the bare CUDA calls of yardsticks go there like the engine's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.gpu.works import Work
from support import doubles
from support.doubles import Installed
from support.doubles import world as worlds
from support.doubles.kernels import view
from support.gpu import hardware
from support.gpu.plans import LARGEST, batches_of, make_plan

COLUMNS = 20_000
"""Of float32: more than is copied inline, so pinned rows are gathered."""


def _means(context: Any, stream: int) -> bool:
    addresses, shapes = dict(context._addresses), dict(context._shapes)

    def job() -> None:
        x = view(addresses["x"], shapes["x"], np.float32)
        y = view(addresses["y"], shapes["y"], np.float32)
        y[...] = x.mean(axis=1, keepdims=True)

    world = worlds.current()
    world.enqueue(world.stream_of(stream), job, 1e-5)
    return True


def means() -> Work:
    """A model that gives each row's mean, twice."""
    source = (np.float32, (-1, COLUMNS), batches_of((COLUMNS,), LARGEST))
    plan = make_plan("means", source, (np.float32, (-1, 2)), _means)
    return Work("means", plan, _means, (COLUMNS,), "float32", (2,), 1e-5)


@contextmanager
def on_doubles(devices: int = 1, clean: bool = True) -> Iterator[Installed]:
    """Install the doubles for engine and yardsticks, with GPU 0 current."""
    hardware.load.cache_clear()
    try:
        with doubles.install(devices, clean=clean) as gpu:
            hardware.enter()
            yield gpu
    finally:
        hardware.load.cache_clear()
