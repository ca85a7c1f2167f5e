"""Doubles of `cuda.bindings.runtime` and `tensorrt` that keep the real rules."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tests.doubles import cuda_runtime, tensorrt, world
from tests.doubles.trt_context import Hooks
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

    @property
    def violations(self) -> list[str]:
        """Broken rules, of CUDA and of TensorRT."""
        return [*self.world.violations, *tensorrt._violations]


@contextmanager
def install(
    devices: int = 1, driver: int = 13000, clean: bool = True, lazy: bool = False
) -> Iterator[Installed]:
    """Let the product import the doubles.

    Args:
        devices: GPUs of the machine.
        driver: version of the driver; 0 for none.
        clean: assert at the end that no rule was broken and everything was given back.
        lazy: see `World.lazy`.
    """
    here = World(devices, driver)
    here.lazy = lazy
    before = world.replace(here)
    tensorrt._calls.clear()
    tensorrt._violations.clear()
    hooks = Hooks.capturing, Hooks.answered
    Hooks.capturing, Hooks.answered = _is_capturing, lambda: here.answered
    names = _modules()
    kept = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)
    try:
        yield Installed(here, tensorrt)
    finally:
        here.close()
        world.replace(before)
        Hooks.capturing, Hooks.answered = hooks
        for name, module in kept.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
    if clean:  # not reached when the test failed: its own failure says more
        assert here.violations == [], here.violations
        assert tensorrt._violations == [], tensorrt._violations
        assert here.leftovers() == {}, here.leftovers()


def _modules() -> dict[str, ModuleType]:
    root, bindings = ModuleType("cuda"), ModuleType("cuda.bindings")
    vars(root)["bindings"] = bindings
    vars(bindings)["runtime"] = cuda_runtime
    return {
        "cuda": root,
        "cuda.bindings": bindings,
        "cuda.bindings.runtime": cuda_runtime,
        "tensorrt": tensorrt,
    }


def _is_capturing(stream: int) -> bool:
    found = world.current().streams.get(int(stream))
    return found is not None and found.recording is not None
