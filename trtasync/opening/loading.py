"""Which backend suits a model and this machine, and the model loaded by it. In a thread."""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from trtasync.errors import BackendUnavailable, BuildError, InvalidInput, PlanError
from trtasync.model.profiles import Profile
from trtasync.model.tensors import Pad
from trtasync.opening.backends import BACKENDS, Loader
from trtasync.plans.plan import Plan
from trtasync.rows import Batching
from trtasync.runtimes import Backend
from trtasync.runtimes.flavours import RTX, insisted, of_backend
from trtasync.runtimes.plan_files import PlanFile, demand_plan, is_plan, is_plan_data
from trtasync.system.cores import cores
from trtasync.system.ranges import ranged
from trtasync.system.stopping import Stop

if TYPE_CHECKING:  # TensorRT's side is loaded when it is needed
    from trtasync.model.axes import AxisNames
    from trtasync.plans import BuilderConfig
    from trtasync.plans.job import Job
    from trtasync.plans.order import Built
    from trtasync.plans.row_note import RowNote
    from trtasync.runtimes.cuda import Device

log: logging.Logger = logging.getLogger("trtasync")

_BACKEND_NAMES = ("spec", "admit", "default_batch_sizes", "open", "close")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What `open_engine` was asked for; see there."""

    model: Any
    backend: str
    devices: Sequence[int] | None
    streams: int | None
    threads: int | None
    max_batch_size: int | None
    batch_sizes: Sequence[int] | None
    max_queue_delay: float
    preferred_batch_size: Sequence[int] | None
    max_queue_size: int | None
    max_queue_time: float | None
    padding: Mapping[str, Pad]
    batching: Batching
    batch_axes: Mapping[str, int | None] | None
    check_seconds: float
    loop_budget: float
    run_timeout: float | None
    max_row_bytes: int | None
    graphs: bool
    copy_threads: int | None
    inline_bytes: int | None
    profiles: tuple[Profile, ...]
    builder_config: "BuilderConfig | None"
    cache: Any
    engine_host_code_allowed: bool
    name: str | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its backend.

    Attributes:
        backend: opened; whoever holds this closes it.
        note: where findings on the rows of a plan in the cache are kept.
    """

    backend: Backend
    note: "RowNote | None" = None


def engine_name(options: EngineOptions, backend: Backend) -> str:
    """What an engine is called in what people read."""
    if options.name is not None:
        return options.name
    if isinstance(options.model, (str, os.PathLike)):
        return Path(options.model).stem
    return "model" if isinstance(options.model, bytes) else backend.name


@ranged("load")
def load(options: EngineOptions, stop: Stop) -> Loaded:
    """The model on the backend it is to run on.

    Args:
        options: what the user wants.
        stop: set to end a build, or the opening of a plan, at its next step: by `Stopped`, or
            later, when the backend opens its lanes.

    Raises:
        InvalidInput, BackendUnavailable, PlanError: see `open_engine`.
    """
    if isinstance(options.model, bytes):
        return _load_bytes(options.model, options, stop)
    if not isinstance(options.model, (str, os.PathLike)):
        if not all(hasattr(options.model, name) for name in _BACKEND_NAMES):
            raise InvalidInput(
                "the model must be the path of an .onnx file or of a plan, the bytes of one, or "
                f"implement trtasync.runtimes.Backend; not a {type(options.model).__name__}."
            )
        return Loaded(cast(Backend, options.model))
    path = Path(options.model)
    planned = is_plan(path)
    if planned and (options.profiles or options.builder_config is not None):
        raise InvalidInput(
            f"profiles and builder_config are for building; {path.name} is already a plan: leave "
            "them out."
        )
    if planned:
        demand_plan(path)
    chosen = backend_for(path, options.backend, _devices(options)[0])
    if load_model := BACKENDS[chosen].load:
        if planned:
            raise PlanError(
                f"{path.name} is a TensorRT plan; backend={chosen!r} needs the .onnx model."
            )
        return Loaded(_load_unbuilt(load_model, path, options))
    if not planned:
        return _build(path, chosen, options, stop)
    file = PlanFile(path, code_allowed=options.engine_host_code_allowed)
    axes = options.model.axes if isinstance(options.model, Plan) else {}
    return Loaded(_load_plan(file, options, stop, axes))


def _load_unbuilt(load_model: Loader, model: Path | bytes, options: EngineOptions) -> Backend:
    """An ONNX model on a backend that needs no plan of it."""
    if options.devices is not None:
        raise InvalidInput(f"the CPU backend has no devices to choose; got {options.devices!r}.")
    return load_model(model, options.threads or max(1, cores() // (options.streams or 1)))


def _load_bytes(model: bytes, options: EngineOptions, stop: Stop) -> Loaded:
    """A model in memory; TensorRT gets it as a file that is gone afterwards."""
    kind = "plan" if is_plan_data(model) else "onnx"
    if kind == "onnx":
        shown = Path(f"<{len(model)} bytes>")
        if load_model := BACKENDS[backend_for(shown, options.backend, _devices(options)[0])].load:
            return Loaded(_load_unbuilt(load_model, model, options))
    with _own_folder() as folder:
        path = Path(folder) / f"model.{kind}"
        try:
            path.write_bytes(model)
        except OSError as error:
            raise BuildError(f"there is no room for the model: {error}. Set TMPDIR.") from error
        return load(replace(options, model=path), stop)


def backend_for(path: Path, wanted: str, device: int = 0) -> str:
    """The backend that a file is opened on: the one wanted; with "auto", TensorRT (of the plan's
    flavour, or of the one that is installed) for a plan and where it can build the model and run it
    on this device, else the CPU.

    Raises:
        InvalidInput: the environment insists on a TensorRT that there is not.
    """
    if wanted != "onnxruntime":
        insisted()  # whoever misspelt it is told, on machines that need it not, too
    if wanted != "auto":
        return wanted
    if is_plan(path):
        return "tensorrt"
    if problem := _why_not_tensorrt(device):
        log.info("%s: on the CPU (%s)", path.name, problem)
        return "onnxruntime"
    return "tensorrt"


def _why_not_tensorrt(device: int) -> str:
    """Why no plan can be built and run here; "" if it can."""
    from trtasync.runtimes.cuda import driver_report, find_device

    if problem := driver_report():
        return problem
    from trtasync.plans.phases import require_builder
    from trtasync.runtimes.tensorrt.engines import demand_gpu
    from trtasync.runtimes.tensorrt.library import library

    try:
        demand_gpu(find_device(device), library())
        require_builder(library())
    except BackendUnavailable as error:
        log.warning("there is a GPU, but it cannot be used: %s", error)
        return str(error)
    return ""


def _load_plan(file: PlanFile, options: EngineOptions, stop: Stop, axes: "AxisNames") -> Backend:
    from trtasync.plans.kernel_files import KernelFiles
    from trtasync.runtimes import tensorrt

    return tensorrt.load(
        file,
        tensorrt.TensorRTOptions(
            devices=_devices(options),
            flavour=of_backend(options.backend),
            graphs=options.graphs,
            copy_threads=options.copy_threads,
            inline_bytes=options.inline_bytes,
            padding=options.padding,
            axes=axes,
            kernels=None if options.cache is False else KernelFiles(file, options.cache),
            stop=stop,
        ),
    )


def _devices(options: EngineOptions) -> tuple[int, ...]:
    return (0,) if options.devices is None else tuple(options.devices)


def _build(path: Path, chosen: str, options: EngineOptions, stop: Stop) -> Loaded:
    """Build the model into a plan, or find it in the cache, and open it on every device."""
    from trtasync.plans.config import BuilderConfig
    from trtasync.plans.files import PRIVATE
    from trtasync.plans.job import Job
    from trtasync.plans.plan import make_order
    from trtasync.plans.rtx import demand_at_hand
    from trtasync.runtimes.tensorrt.library import library

    gpu, config = _demand_one_kind(_devices(options)), options.builder_config
    # what is no configuration is for `make_order` to refuse
    if isinstance(config, BuilderConfig) and (config.calibrator is not None or config.strip_plan):
        raise InvalidInput(
            "open_engine cannot build a plan that is calibrated or stripped of its weights: "
            "build it with build_plan(output=...), and open that."
        )
    with _own_folder() if options.cache is False else nullcontext() as folder:
        output = None if folder is None else Path(folder) / "model.plan"
        if output is not None:
            output.touch(mode=PRIVATE)  # what replaces it keeps its mode
        order = make_order(
            path,
            output=output,
            profiles=options.profiles,
            max_batch_size=options.max_batch_size or max(options.batch_sizes or (), default=None),
            builder_config=options.builder_config,
            cache=options.cache,
            device=_devices(options)[0],
            backend=chosen,
            batch_axes=options.batch_axes,
        )
        named = order.config.compute_capabilities is not None
        demand_at_hand(order.config, library(RTX if named else order.flavour), gpu)
        job = Job(order, stop)
        return _open_built(job, job.run(), options, stop)


def _open_built(job: "Job", built: "Built", options: EngineOptions, stop: Stop) -> Loaded:
    """Open a plan; if it is an old one that TensorRT refuses, build it anew, once."""
    from trtasync.plans.row_note import RowNote
    from trtasync.runtimes.tensorrt.engines import PlanRefused

    try:
        backend = _load_plan(_plan_file(built, options), options, stop, built.axes)
    except PlanRefused as error:
        if not built.cached:
            raise
        log.warning("%s: the plan in the cache is not usable: %s", built.path, error)
        built = job.run(useless=built.checksum)
        backend = _load_plan(_plan_file(built, options), options, stop, built.axes)
    return Loaded(backend, RowNote.beside(built))


def _plan_file(built: "Built", options: EngineOptions) -> PlanFile:
    """What is opened: a file of the cache's owner, whose code is run if it has any, and if that is
    this user or the code was allowed."""
    config = options.builder_config
    if config is None or not config.carries_code:
        return PlanFile(built.path, built.owner)
    if not (built.owner.is_me or options.engine_host_code_allowed):
        raise PlanError(
            f"{built.path} carries code, and is not known to be this user's own; pass "
            "engine_host_code_allowed=True if you trust whoever built it, or choose another cache."
        )
    return PlanFile(built.path, built.owner, code_allowed=True)


def _own_folder() -> AbstractContextManager[str]:
    """A folder for the files of an engine that keeps none."""
    try:
        return tempfile.TemporaryDirectory(prefix="trtasync-")
    except OSError as error:
        raise BuildError(
            f"there is no place for the model's files: {error}. Set TMPDIR to a folder with room."
        ) from error


def _demand_one_kind(devices: Sequence[int]) -> "Device":
    """A plan runs on one kind of GPU: the first of them."""
    from trtasync.runtimes.cuda import find_device

    found = [find_device(index) for index in devices]
    kinds = {(device.name, device.capability) for device in found}
    if len(kinds) > 1:
        raise InvalidInput(
            f"GPUs {list(devices)} are of different kinds ({', '.join(d.name for d in found)}), "
            "and a plan runs on one; open an engine for each kind."
        )
    return found[0]
