"""TensorRT for RTX compiles kernels where it runs: when that happens, and what is kept.

Nobody has run this on a GPU that TensorRT for RTX supports: it is tested against the genuine
bindings and against doubles. Facts are from the bindings' docstrings (1.7).
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from trtasync.errors import PlanError
from trtasync.runtimes.cuda import Device
from trtasync.runtimes.tensorrt.api import CudaEngine
from trtasync.runtimes.tensorrt.library import Library

log: logging.Logger = logging.getLogger("trtasync")


class KernelStore(Protocol):
    """Keeps the compiled kernels of a plan. Neither method raises: without it things only take
    longer."""

    def load(self, version: str, device: Device) -> Iterator[bytes]:
        """Yield what is kept for a version and a kind of GPU, best candidates first."""

    def save(self, version: str, device: Device, content: bytes) -> None:
        """Keep these kernels."""


class RuntimeCache(Protocol):
    """`IRuntimeCache`: compiled kernels for one kind of GPU, version and driver."""

    def deserialize(self, blob: Any) -> bool:
        """False if it is for something else, or broken; the cache is then unchanged."""

    def serialize(self) -> Any: ...


class RuntimeConfig(Protocol):
    """`IRuntimeConfig` of TensorRT for RTX."""

    dynamic_shapes_kernel_specialization_strategy: Any
    cuda_graph_strategy: Any

    def create_runtime_cache(self) -> RuntimeCache | None: ...
    def set_runtime_cache(self, cache: RuntimeCache) -> bool: ...
    def set_execution_context_allocation_strategy(self, strategy: Any) -> None: ...


class Kernels:
    """The kernels of one engine, for all its contexts.

    Attributes:
        config: contexts are created with it; it must live as long as they do.
    """

    def __init__(self, lib: Library, config: RuntimeConfig, device: Device, store: KernelStore):
        """Called by `kernels_of`."""
        self.config = config
        self._version = lib.version
        self._device = device
        self._store = store
        trt: Any = lib.trt
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        config.set_execution_context_allocation_strategy(strategy)
        # Lazily compiled kernels would be replaced after warm-up, invalidating graphs.
        eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        config.dynamic_shapes_kernel_specialization_strategy = eager
        config.cuda_graph_strategy = trt.CudaGraphStrategy.DISABLED  # graphs are the lane's
        self._known = b""
        self._cache = self._filled(config.create_runtime_cache())
        if self._cache is None or not config.set_runtime_cache(self._cache):
            self._cache = None
            log.warning("TensorRT for RTX accepts no cache: kernels are compiled at every opening")

    def _filled(self, cache: RuntimeCache | None) -> RuntimeCache | None:
        """Fill it with what is kept, as far as it accepts that."""
        if cache is not None:
            for content in self._store.load(self._version, self._device):
                if _asked(cache.deserialize, content):
                    self._known = content
                    break
                log.info("cached kernels are for another GPU, version or driver")
        return cache

    def keep(self) -> None:
        """After warm-up, save what was compiled, if anything."""
        serialized = None if self._cache is None else _asked(self._cache.serialize)
        content = b"" if serialized is None else bytes(serialized)
        if content and content != self._known:
            self._store.save(self._version, self._device, content)
            self._known = content


def _asked(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call a cache. What it raises is not documented, and is no reason not to open the plan."""
    try:
        return call(*arguments)
    except Exception as error:
        log.warning("the cache of kernels is not used: %s: %s", type(error).__name__, error)
        return None


class NoStore:
    """Keeps nothing; see `KernelStore`."""

    def load(self, version: str, device: Device) -> Iterator[bytes]:
        """Return nothing."""
        return iter(())

    def save(self, version: str, device: Device, content: bytes) -> None:
        """Do nothing."""


def kernels_of(
    lib: Library, engine: CudaEngine, device: Device, store: KernelStore | None
) -> Kernels | None:
    """How an engine's kernels are compiled; None for TensorRT, which did that at build time.

    Raises:
        PlanError: TensorRT refuses.
    """
    if not lib.flavour.is_rtx:
        return None
    device.enter()  # a cache uses the current one
    mark = lib.journal.mark()
    config = cast(Any, engine).create_runtime_config()
    if config is None:
        raise PlanError(f"{lib.title} created no runtime configuration: {lib.journal.since(mark)}.")
    return Kernels(lib, config, device, store or NoStore())
