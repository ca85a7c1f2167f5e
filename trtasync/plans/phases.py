"""TensorRT's steps from a model to an execution context, each available separately and checked.

What the methods return are TensorRT's own objects: mix these calls with plain ones as you like.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from trtasync.errors import BackendUnavailable, BuildError, InvalidInput, PlanError
from trtasync.model.axes import AxisNames
from trtasync.model.profiles import Profile, read_profiles
from trtasync.plans import configuring, resolve
from trtasync.plans.api import (
    Builder,
    BuilderConfiguration,
    FullTensorRT,
    HostMemory,
    NetworkDefinition,
    OptimizationProfile,
    Tensor,
)
from trtasync.plans.config import BuilderConfig
from trtasync.plans.network_inputs import network_inputs
from trtasync.plans.networks import fill
from trtasync.plans.onnx_files import read_onnx
from trtasync.plans.paths import read_path
from trtasync.plans.sources import FunctionModel, NetworkFunction, OnnxModel
from trtasync.runtimes.cuda import Device, find_device
from trtasync.runtimes.flavours import RTX, TENSORRT, VARIABLE, Flavour, chosen
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt.api import CudaEngine, ExecutionContext, Runtime
from trtasync.runtimes.tensorrt.engines import deserialize, deserialize_bytes
from trtasync.runtimes.tensorrt.library import Library, library, make_runtime


class Phases:
    """TensorRT on one GPU, or without one, step by step. To be used by one thread at a time.

    ```python
    phases = Phases()
    builder = phases.builder()
    network = phases.network(builder, define)  # or phases.parse(builder, "model.onnx")
    config = phases.config(builder, BuilderConfig(workspace=1 << 30))
    phases.add_profiles(builder, network, config, [Profile.parse("x:1x3/8x3/64x3")])
    plan = phases.serialize(builder, network, config)
    engine = phases.engine(phases.runtime(), plan)
    context = phases.context(engine)
    ```

    Attributes:
        device: the GPU, made current in the thread of every call; None for none.
        library: the installed TensorRT.
        trt: its module.
        logger: TensorRT's logger, bridged to Python's "trtasync.tensorrt".
    """

    def __init__(self, device: int | None = 0, flavour: Flavour | None = None):
        """Find the GPU, then TensorRT: in the other order its objects can kill the process.

        Args:
            device: the GPU's index; None to build with TensorRT for RTX, without GPU and CUDA.
            flavour: the TensorRT to use; None for the one that the environment variable
                TRTASYNC_TENSORRT selects, or else for the one that is installed.

        Raises:
            BackendUnavailable: no GPU, no driver, no cuda-python, no TensorRT.
            InvalidInput: there is no such device; or TensorRT is selected, which cannot build
                without one.
        """
        wanted = _without_a_gpu(flavour) if device is None else chosen(flavour)
        self.device: Device | None = None if device is None else find_device(device)
        self.library: Library = library(wanted)
        self.trt: FullTensorRT = cast(FullTensorRT, self.library.trt)
        self.logger: Any = self.library.logger
        self._calibrates = False
        self._kept: list[object] = []  # what holds the weights: TensorRT reads them while it builds

    @property
    def version(self) -> str:
        """TensorRT's version, e.g. "11.4.0.106"."""
        return self.library.version

    def builder(self) -> Builder:
        """Create a `tensorrt.Builder`.

        Raises:
            BackendUnavailable: the lean or dispatch runtime is installed, which cannot build.
            BuildError: TensorRT created none.
        """
        require_builder(self.library)
        self._enter()
        mark = self.library.journal.mark()
        try:
            return self.trt.Builder(self.logger)
        except Exception as error:  # pybind11 raises TypeError where C++ gives null
            self._refuse(f"no builder ({error})", mark, error)

    def network(
        self, builder: Builder, define: NetworkFunction, *, strongly_typed: bool = True
    ) -> NetworkDefinition:
        """Create the network that a function defines.

        What the function returns is kept as long as this object: return whatever holds your
        weights, because TensorRT does not copy numpy arrays and reads them while it builds.

        Args:
            builder: see `builder`.
            define: called with the empty network, and with TensorRT's module if it has a parameter
                `trt`.
            strongly_typed: types come from the network alone; False on TensorRT 10 only.

        Raises:
            BuildError: the function failed or marked no output, or TensorRT refused one of its
                calls; includes what TensorRT said.
        """
        return self.network_of(builder, FunctionModel(define, None), strongly_typed)

    def parse(
        self, builder: Builder, path: str | os.PathLike[str], *, strongly_typed: bool = True
    ) -> NetworkDefinition:
        """Create the network of an ONNX file; external weights are found beside it.

        Args:
            builder: of `builder`.
            path: the file.
            strongly_typed: as for `network`.

        Raises:
            BuildError: not ONNX, truncated, or with operators that TensorRT lacks: every error of
                the parser, with node, operator and reason.
            BackendUnavailable: the `onnx` package is not installed.
        """
        model = OnnxModel(read_onnx(read_path("path", path)), None)
        return self.network_of(builder, model, strongly_typed)

    def network_of(
        self, builder: Builder, model: OnnxModel | FunctionModel, strongly_typed: bool
    ) -> NetworkDefinition:
        """Create the network of a `model` that was read; see `network`."""
        self._enter()
        flag = self.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        mark = self.library.journal.mark()
        # On 11 it always is, and the flag is accepted; on 10.12 and later the flag is required.
        network = builder.create_network(1 << int(flag) if strongly_typed else 0)
        if network is None:
            self._refuse("no network", mark)
        self._kept.append(fill(self.library, network, model))
        return network

    def let_go(self) -> None:
        """Free what holds the weights of all networks so far; none of them can be built again."""
        self._kept.clear()

    def config(self, builder: Builder, config: BuilderConfig | None = None) -> BuilderConfiguration:
        """Create a `tensorrt.IBuilderConfig`, set according to a `BuilderConfig`.

        Args:
            builder: of `builder`.
            config: what it is set to; None for the defaults.

        Raises:
            InvalidInput: the installed TensorRT or this GPU lacks what it requests.
            BuildError: TensorRT created none.
        """
        config = BuilderConfig() if config is None else config
        if not isinstance(config, BuilderConfig):
            raise InvalidInput(f"config must be a trtasync.BuilderConfig, not {config!r}.")
        configuring.check(config, self.library, self.device is not None)
        if self.device is not None:
            configuring.check_hardware(config, builder, self.device.capability)
        self._calibrates = config.calibrator is not None
        self._enter()
        mark = self.library.journal.mark()
        target = builder.create_builder_config()
        if target is None:
            self._refuse("no builder config", mark)
        configuring.apply(config, self.library, target)
        return target

    def add_profiles(
        self,
        builder: Builder,
        network: NetworkDefinition,
        config: BuilderConfiguration,
        profiles: Profile | str | Sequence[Profile | str] = (),
        max_batch_size: int | None = None,
        *,
        batch_axes: Mapping[str, int | None] | None = None,
        axes: AxisNames | None = None,
    ) -> list[Profile]:
        """Complete profiles for a network (see `Profile`) and pass them to TensorRT, in order.

        Returns what was added; [] if every shape is fixed.

        Args:
            builder: of `builder`.
            network: the network that the profiles are for.
            config: the config to which they are added.
            profiles: those that are given.
            max_batch_size: for derived ones.
            batch_axes: tensor name -> batch axis, or None for none; by default found by names.
            axes: tensor name -> its axes, if the network does not know their names.

        Raises:
            InvalidInput: naming the input and the axis.
            BuildError: TensorRT refused one.
        """
        tensors = [network.get_input(index) for index in range(network.num_inputs)]
        completed = resolve.complete(
            network_inputs(network, tensors, batch_axes, axes or {}),
            read_profiles(profiles),
            max_batch_size,
        )
        for index, profile in enumerate(completed):
            self._add(builder, config, profile, tensors, first=index == 0)
        return completed

    def _add(
        self,
        builder: Builder,
        config: BuilderConfiguration,
        profile: Profile,
        tensors: Sequence[Tensor],
        first: bool,
    ) -> None:
        mark = self.library.journal.mark()
        target = builder.create_optimization_profile()
        if target is None:
            self._refuse("no optimization profile", mark)
        try:
            for tensor in tensors:
                shapes = profile.shapes.get(tensor.name)
                if shapes is not None:
                    put = target.set_shape_input if tensor.is_shape_tensor else target.set_shape
                    put(tensor.name, shapes.min, shapes.opt, shapes.max)
        except (RuntimeError, ValueError) as error:  # the docs and the bindings disagree on which
            self._refuse(f"the profile {profile} was refused ({error})", mark, error)
        if config.add_optimization_profile(target) < 0:
            self._refuse(f"the profile {profile} was refused", mark)
        if first and self._calibrates:  # reading the config's own member is deprecated
            self._calibrate_on(config, target)

    def _calibrate_on(self, config: BuilderConfiguration, profile: OptimizationProfile) -> None:
        mark = self.library.journal.mark()
        if not hasattr(config, "set_calibration_profile"):
            return
        if not config.set_calibration_profile(profile):
            self._refuse("no use of the first profile for calibration", mark)

    def serialize(
        self, builder: Builder, network: NetworkDefinition, config: BuilderConfiguration
    ) -> HostMemory:
        """Build: takes seconds to hours, with the GIL released.

        Args:
            builder: of `builder`.
            network: of `network` or `parse`.
            config: of `config`, with its profiles.

        Returns:
            TensorRT's block of memory: call `bytes(plan)`, or write it to a file as it is.

        Raises:
            BuildError: TensorRT built nothing; with its own words.
        """
        self._enter()
        mark = self.library.journal.mark()
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            self._refuse("no plan", mark)
        return plan

    def runtime(self, *, engine_host_code_allowed: bool = False) -> Runtime:
        """Create a `tensorrt.Runtime`.

        Args:
            engine_host_code_allowed: run the code that version-compatible plans carry; only for
                plans you trust.

        Raises:
            BackendUnavailable: these phases have no GPU, or TensorRT created none.
        """
        self._gpu().enter()
        return make_runtime(self.library, engine_host_code_allowed)

    def engine(self, runtime: Runtime, plan: Any) -> CudaEngine:
        """Create a `tensorrt.ICudaEngine`.

        Args:
            runtime: of `runtime`.
            plan: a file's path, or a buffer.

        Raises:
            PlanError: it cannot be read, or was built for another TensorRT or GPU.
        """
        if isinstance(plan, (str, os.PathLike)):
            return deserialize(self.library, runtime, PlanFile(Path(plan)), self._gpu())
        return deserialize_bytes(self.library, runtime, plan, self._gpu())

    def context(self, engine: CudaEngine) -> ExecutionContext:
        """Create a `tensorrt.IExecutionContext` with its own memory, for one thread at a time.

        Args:
            engine: of `engine`.

        Raises:
            PlanError: TensorRT created none.
        """
        self._enter()
        mark = self.library.journal.mark()
        context = engine.create_execution_context(
            self.trt.ExecutionContextAllocationStrategy.STATIC
        )
        if context is None:
            raise PlanError(
                f"TensorRT created no execution context: {self.library.journal.since(mark)}."
            )
        return context

    def _enter(self) -> None:
        if self.device is not None:
            self.device.enter()

    def _gpu(self) -> Device:
        if self.device is None:
            raise BackendUnavailable(
                "Phases(device=None) builds without a GPU and runs no plans; use Phases(0)."
            )
        return self.device

    def _refuse(self, what: str, mark: int, cause: Exception | None = None) -> NoReturn:
        place = "" if self.device is None else f" on {self.device.name}"
        raise BuildError(
            f"{self.library.title} created {what}{place}: {self.library.journal.since(mark)}."
        ) from cause


def require_builder(lib: Library) -> None:
    """Refuse the runtimes that cannot build.

    Raises:
        BackendUnavailable: it is the lean or dispatch runtime.
    """
    if not hasattr(lib.trt, "Builder") or not hasattr(lib.trt, "OnnxParser"):
        raise BackendUnavailable(
            f"building a plan needs the full TensorRT; {lib.name} {lib.version} only runs plans: "
            "pip install 'trtasync[cu13]', 'trtasync[cu12]', or on an RTX GPU 'trtasync[rtx]'."
        )


def _without_a_gpu(flavour: Flavour | None) -> Flavour:
    """Return the flavour that builds for named GPUs.

    Raises:
        InvalidInput: the other one was selected.
    """
    if chosen(flavour) not in (None, RTX):
        who = "flavour= insists" if flavour else f"{VARIABLE}={TENSORRT.name} insists"
        raise InvalidInput(
            f"{who} on {TENSORRT.title}, and only {RTX.title} builds without a GPU, for "
            f"compute_capabilities: leave these out, unset {VARIABLE}, or set "
            "backend='tensorrt-rtx', which overrides it."
        )
    return RTX
