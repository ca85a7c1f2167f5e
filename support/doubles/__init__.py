"""Doubles of `cuda.bindings.runtime` and `tensorrt` that keep the real rules."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from support.doubles import (
    cuda_runtime,
    tensorrt,
    tensorrt10,
    tensorrt_lean,
    trt_builds,
    world,
)
from support.doubles.trt_builds import Builds
from support.doubles.trt_context import Hooks
from support.doubles.world import World


@dataclass
class Installed:
    """A test's view of the doubles.

    Attributes:
        world: the machine.
        trt: the module that stands for `tensorrt`.
        builds: settings of the pretended builder, and what it built; see `trt_builder`.
    """

    world: World
    trt: Any
    builds: Builds

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
    devices: int = 1,
    driver: int = 13000,
    clean: bool = True,
    lazy: bool = False,
    *,
    version: str = "11.4.0.106",
    gpu: str = "Double GPU",
    capability: tuple[int, int] = (9, 0),
) -> Iterator[Installed]:
    """Let the product import the doubles.

    Args:
        devices: GPUs of the machine.
        driver: version of the driver; 0 for none.
        clean: assert at the end that no rule was broken and everything was freed.
        lazy: see `World.lazy`.
        version: of TensorRT, see `surface`.
        gpu: name of the GPUs.
        capability: their compute capability.
    """
    here = World(devices, driver)
    here.lazy, here.gpu, here.capability = lazy, gpu, capability
    trt, builds = surface(version), Builds()
    before, builds_before = world.replace(here), trt_builds.replace(builds)
    tensorrt._calls.clear()
    tensorrt._violations.clear()
    hooks = Hooks.capturing, Hooks.answered, Hooks.gpu, Hooks.room
    Hooks.capturing, Hooks.answered = _is_capturing, lambda: here.answered
    Hooks.gpu = lambda: (here.gpu, ".".join(map(str, here.capability)))
    Hooks.room = lambda: -1 if here.broken else here.free_bytes()
    names = _modules(trt)
    kept = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)
    try:
        yield Installed(here, trt, builds)
    finally:
        builds.gate.release()  # a failed test may leave a build behind
        here.close()
        world.replace(before)
        trt_builds.replace(builds_before)
        Hooks.capturing, Hooks.answered, Hooks.gpu, Hooks.room = hooks
        for name, module in kept.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
    if clean:  # not reached if the test failed: its own failure says more
        assert here.violations == [], here.violations
        assert tensorrt._violations == [], tensorrt._violations
        assert here.leftovers() == {}, here.leftovers()


SURFACES: dict[str, ModuleType] = {
    "11.4.0.106": tensorrt,
    "10.16.1.11": tensorrt10,
    "lean": tensorrt_lean,
}


def surface(version: str) -> ModuleType:
    """The double of one version, with exactly the names that it has. "lean" is 11.4's lean runtime,
    which is imported as `tensorrt_lean` and has no `tensorrt`."""
    return SURFACES[version]


def _modules(trt: ModuleType) -> dict[str, Any]:
    root, bindings = ModuleType("cuda"), ModuleType("cuda.bindings")
    vars(root)["bindings"] = bindings
    vars(bindings)["runtime"] = cuda_runtime
    return {
        "cuda": root,
        "cuda.bindings": bindings,
        "cuda.bindings.runtime": cuda_runtime,
        "tensorrt": None if trt is tensorrt_lean else trt,  # None: an ImportError
        "tensorrt_lean": trt if trt is tensorrt_lean else None,
    }


def _is_capturing(stream: int) -> bool:
    found = world.current().streams.get(int(stream))
    return found is not None and found.recording is not None
