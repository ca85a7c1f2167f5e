"""`Builder` of the double of `tensorrt`.

How a test uses it (`gpu` is what `doubles.install` yields; `gpu.builds` is a `trt_builds.Builds`):

    with doubles.install(version="10.16.1.11", gpu="NVIDIA H200", capability=(9, 0)) as gpu:
        gpu.builds.unsupported = {"Gelu"}        # operators that the ONNX parser has not
        gpu.builds.workspace_needed = 1 << 20    # a lower workspace limit fails the build
        gpu.builds.no_builder = True             # Builder() raises pybind11's TypeError
        gpu.builds.refuse_profiles = True        # add_optimization_profile() gives -1
        gpu.builds.steps = 5                     # of every phase
        gpu.builds.fast_fp16 = False             # TensorRT 10: platform_has_fast_fp16
        gpu.builds.static_contexts = True        # contexts with memory of their own: no violation

        with gpu.builds.gate.held():             # builds wait at their next step
            ...                                  # start one in a thread
            gpu.builds.gate.wait_for_build()     # it stands there
            gpu.builds.gate.let(1)               # one step goes through
        gpu.builds.gate.passed                   # steps so far

        gpu.builds.started, .finished, .failed   # builds
        gpu.builds.tactics_timed, .tactics_found # layers measured, layers known from a timing cache
        gpu.violations                           # e.g. a progress monitor that raised

Among processes: `python -m support.doubles.child module:function arguments` (see there). With the
environment variable TRTASYNC_DOUBLE_LOG=file every build appends "start PID NAME", then "end PID
NAME" or "failed PID NAME"; TRTASYNC_DOUBLE_STEP_SECONDS=0.01 lets every step take so long.
"""

import threading
from typing import Any

from support.doubles import trt_builds
from support.doubles.trt_build import Build
from support.doubles.trt_config import IBuilderConfig, IOptimizationProfile
from support.doubles.trt_context import Hooks, violations
from support.doubles.trt_enums import NetworkDefinitionCreationFlag
from support.doubles.trt_names import Logging, Numbered, demand
from support.doubles.trt_network import INetworkDefinition
from support.doubles.trt_timing import IHostMemory


class Builder(Logging):
    """Builds plans; for one thread at a time."""

    _version: str = "11.4.0"
    _network_flags: type[Numbered] = NetworkDefinitionCreationFlag
    _config_type: type[IBuilderConfig] = IBuilderConfig
    _network_type: type[INetworkDefinition] = INetworkDefinition

    def __init__(self, logger: Any):
        self._listen_to(logger)
        if not Hooks.answered():
            violations.append("segfault: Builder was made before CUDA answered any call")
        if trt_builds.current().no_builder:
            self._refuse("CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._user = threading.Lock()

    def create_network(self, flags: int = 0) -> INetworkDefinition | None:
        """None, with a log line, for a flag that does not exist."""
        if int(flags) >> len(self._network_flags.__members__):
            self._refuse(f"IBuilder::createNetworkV2: Error Code 3: unknown flags {int(flags):#x}")
            return None
        return self._network_type._make(self._logger, int(flags), self._is_strong(int(flags)))

    def _is_strong(self, flags: int) -> bool:
        """Always, in 11."""
        return True

    def create_builder_config(self) -> IBuilderConfig:
        """A new one, with the defaults."""
        config: IBuilderConfig = self._config_type._make(self._logger, self._version)
        return config

    def create_optimization_profile(self) -> IOptimizationProfile:
        """An empty one."""
        return IOptimizationProfile._make(self._logger)

    def build_serialized_network(
        self, network: INetworkDefinition, config: IBuilderConfig
    ) -> IHostMemory | None:
        """None, with log lines, on failure."""
        demand(network, INetworkDefinition)
        demand(config, IBuilderConfig)
        if not self._user.acquire(blocking=False):
            violations.append("two threads at once in one builder")
            return None
        try:
            return Build(network, config, self._logger).run()
        finally:
            self._user.release()
