"""Checks a `BuilderConfig` against the installed TensorRT, and translates it."""

from typing import Any, cast

from trtasync.errors import InvalidInput
from trtasync.plans import rtx
from trtasync.plans.api import Builder, BuilderConfiguration, FullTensorRT
from trtasync.plans.config import BuilderConfig
from trtasync.runtimes.tensorrt.library import Library

_WAY_OUT = (
    "types come from the network there: convert the model (python -m modelopt.onnx.autocast "
    "--low_precision_type fp16 for half precision, python -m modelopt.onnx.quantization for int8 "
    "with Q/DQ nodes), export it in that type, or use add_cast and add_quantize in a network "
    "function"
)

_NEEDED = {"BF16": (8, 0), "FP8": (8, 9), "FP4": (10, 0)}
"""Compute capability from which a GPU has a type (CUDA C++ Programming Guide, feature table)."""


def check(config: BuilderConfig, lib: Library, has_gpu: bool) -> None:
    """Refuse, before anything slow, what the installed TensorRT does not have.

    Args:
        config: the requested configuration.
        lib: the library that is to build.
        has_gpu: whether it may use one.

    Raises:
        InvalidInput: naming it, what is available, and an alternative.
    """
    trt = cast(FullTensorRT, lib.trt)
    for name in config.weak:
        if not hasattr(trt.BuilderFlag, name):
            raise InvalidInput(
                f"{lib.title} has no BuilderFlag.{name} ({name.lower()}=True): {_WAY_OUT}."
            )
    for name in config.flags:
        _demand_member(lib, "BuilderFlag", trt.BuilderFlag, name)
    for name in config.tactic_sources or ():
        _demand_member(lib, "TacticSource", trt.TacticSource, name)
    level = config.hardware_compatibility_level.upper()
    _demand_member(lib, "HardwareCompatibilityLevel", trt.HardwareCompatibilityLevel, level)
    if config.tiling_optimization_level is not None and not hasattr(trt, "TilingOptimizationLevel"):
        raise InvalidInput(f"{lib.title} has no tiling_optimization_level.")
    if config.calibrator is not None and not config.int8:
        raise InvalidInput("a calibrator requires int8=True; give both.")
    rtx.check(config, lib, has_gpu)


def _demand_member(lib: Library, what: str, owner: Any, name: str) -> None:
    if not hasattr(owner, name):
        known = sorted(each for each in dir(owner) if each.isupper())
        raise InvalidInput(f"{lib.title} has no {what}.{name}; it has {', '.join(known)}.")


def check_hardware(config: BuilderConfig, builder: Builder, capability: tuple[int, int]) -> None:
    """Refuse precisions that this GPU lacks, rather than have TensorRT ignore them.

    Raises:
        InvalidInput: the GPU is not faster with it, so TensorRT would not use it.
    """
    slow = [name.lower() for name in config.weak if capability < _NEEDED.get(name, (0, 0))]
    if "FP16" in config.weak and hasattr(builder, "platform_has_fast_fp16"):
        slow += [] if builder.platform_has_fast_fp16 else ["fp16"]
    if "INT8" in config.weak and hasattr(builder, "platform_has_fast_int8"):
        slow += [] if builder.platform_has_fast_int8 else ["int8"]
    if slow:
        raise InvalidInput(
            f"this GPU is not fast in {' and '.join(slow)}, so TensorRT would build float32; "
            "leave it out."
        )


def apply(config: BuilderConfig, lib: Library, target: BuilderConfiguration) -> None:
    """Set everything but profiles, timing cache and progress on TensorRT's own object."""
    trt = cast(FullTensorRT, lib.trt)
    if config.workspace is not None:
        target.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, config.workspace)
    for name in (
        "builder_optimization_level",
        "avg_timing_iterations",
        "max_num_tactics",
        "max_aux_streams",
    ):
        value = getattr(config, name)
        if value is not None:
            if not hasattr(target, name):
                raise InvalidInput(f"{lib.title} has no {name}; leave it out.")
            setattr(target, name, value)
    if config.hardware_compatibility_level != "none":  # setting the default makes RTX warn
        level = _member(trt.HardwareCompatibilityLevel, config.hardware_compatibility_level)
        target.hardware_compatibility_level = level
    target.profiling_verbosity = _member(trt.ProfilingVerbosity, config.profiling_verbosity)
    if config.tiling_optimization_level is not None:
        tiling = _member(trt.TilingOptimizationLevel, config.tiling_optimization_level)
        target.tiling_optimization_level = tiling
    rtx.aim(config, trt, target)
    _set_flags(config, lib, target)
    _set_tactic_sources(config, trt, target)
    if config.calibrator is not None and hasattr(target, "int8_calibrator"):
        setattr(target, "int8_calibrator", config.calibrator)  # noqa: B010 - read-only in our types


def _member(owner: Any, name: str) -> Any:
    return getattr(owner, name.upper())


def _set_flags(config: BuilderConfig, lib: Library, target: BuilderConfiguration) -> None:
    flags = cast(FullTensorRT, lib.trt).BuilderFlag
    if not config.tf32:
        target.clear_flag(flags.TF32)  # the only one that TensorRT sets by default
    wanted = [
        (config.sparse_weights, flags.SPARSE_WEIGHTS),
        (config.refit, flags.REFIT),
        (config.strip_plan, flags.STRIP_PLAN),
        (config.version_compatible, flags.VERSION_COMPATIBLE),
        (config.exclude_lean_runtime, flags.EXCLUDE_LEAN_RUNTIME),
        (config.weight_streaming, flags.WEIGHT_STREAMING),
        (config.timing_cache is False and not lib.flavour.is_rtx, flags.DISABLE_TIMING_CACHE),
    ]
    for chosen, flag in wanted:
        if chosen:
            target.set_flag(flag)
    for name in dict.fromkeys((*config.weak, *config.flags)):
        target.set_flag(getattr(flags, name))


def _set_tactic_sources(
    config: BuilderConfig, trt: FullTensorRT, target: BuilderConfiguration
) -> None:
    if config.tactic_sources is None:
        return
    mask = 0
    for name in config.tactic_sources:
        mask |= 1 << int(getattr(trt.TacticSource, name))
    if not target.set_tactic_sources(mask):
        raise InvalidInput(
            f"TensorRT cannot use tactic_sources={list(config.tactic_sources)}; leave it out."
        )
