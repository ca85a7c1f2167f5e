"""Yardsticks on the doubles: their bare CUDA calls go there like the engine's."""

from collections.abc import Iterator
from contextlib import contextmanager

from support import doubles
from support.doubles import Installed
from support.gpu import hardware


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
