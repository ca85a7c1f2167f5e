"""Doubles of `cuda.bindings.runtime` and `tensorrt` that keep the real rules."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tests.doubles import cuda_runtime, tensorrt, world
from tests.doubles.world import World


@dataclass
class Installed:
    """What a test sees of the doubles.

    Attributes:
        world: the machine.
        trt: the module that stands for `tensorrt`.
    """

    world: World
    trt: Any

    @property
    def context_calls(self) -> Counter[str]:
        """How often each method of an execution context was called."""
        return tensorrt._calls


@contextmanager
def install(devices: int = 1, driver: int = 13000, clean: bool = True) -> Iterator[Installed]:
    """Let the product import the doubles.

    Args:
        devices: GPUs of the machine.
        driver: version of the driver; 0 for none.
        clean: assert at the end that no rule was broken and everything was given back.
    """
    here = World(devices, driver)
    before = world.replace(here)
    tensorrt._calls.clear()
    tensorrt._violations.clear()
    tensorrt._capturing = _is_capturing
    names = {"cuda.bindings.runtime": cuda_runtime, "tensorrt": tensorrt}
    bindings = ModuleType("cuda.bindings")
    vars(bindings)["runtime"] = cuda_runtime
    names["cuda.bindings"] = bindings
    kept = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)
    try:
        yield Installed(here, tensorrt)
    finally:
        here.close()
        world.replace(before)
        for name, module in kept.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
    if clean:  # not reached when the test failed: its own failure says more
        assert here.violations == []
        assert tensorrt._violations == []
        assert here.leftovers() == {}


def _is_capturing(stream: int) -> bool:
    found = world.current().streams.get(int(stream))
    return found is not None and found.recording is not None
