"""The builder's configuration, by plain keyword and in TensorRT's words."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from trtasync.errors import InvalidInput

if TYPE_CHECKING:  # this module comes with `import trtasync`, TensorRT's side does not
    from trtasync.plans.api import Builder, BuilderConfiguration, FullTensorRT

HardwareCompatibility = Literal["none", "ampere_plus", "same_compute_capability"]
ProfilingVerbosity = Literal["layer_names_only", "detailed", "none"]
TilingLevel = Literal["none", "fast", "moderate", "full"]

WEAK_FLAGS = (
    *("FP16", "BF16", "INT8", "FP8", "INT4", "FP4"),
    *("OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"),
)
"""Have TensorRT choose types by itself. Deprecated since 10.12 and gone in 11."""

_WAY_OUT = (
    "types come from the network there: convert the model (python -m modelopt.onnx.autocast "
    "--low_precision_type fp16 for half precision, python -m modelopt.onnx.quantization for int8 "
    "with Q/DQ nodes), export it in that type, or use add_cast and add_quantize in a network "
    "function"
)

_KEYWORDS = {
    **{
        name: f"{name.lower()}=True"
        for name in (
            *("FP16", "BF16", "INT8", "SPARSE_WEIGHTS", "REFIT", "STRIP_PLAN"),
            *("VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME", "WEIGHT_STREAMING"),
        )
    },
    "TF32": "tf32",
    "DISABLE_TIMING_CACHE": "timing_cache=False",
}
"""Flags that are not given by name: one way to say a thing, and one key in the cache."""

_INT32, _INT64 = 2**31 - 1, 2**63 - 1

_RANGES = {
    "workspace": (1, _INT64),
    "builder_optimization_level": (0, 5),
    "max_aux_streams": (0, _INT32),
    "avg_timing_iterations": (1, _INT32),
    "max_num_tactics": (1, _INT32),
}

_NEEDED = {"BF16": (8, 0), "FP8": (8, 9), "FP4": (10, 0)}
"""Compute capability from which a GPU has a type (CUDA C++ Programming Guide, feature table)."""

_LEVELS = {
    "hardware_compatibility_level": ("none", "ampere_plus", "same_compute_capability"),
    "profiling_verbosity": ("layer_names_only", "detailed", "none"),
    "tiling_optimization_level": ("none", "fast", "moderate", "full"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderConfig:
    """How TensorRT builds a plan. What is None stays as TensorRT has it.

    Args:
        workspace: bytes of scratch memory a layer may use; None for all of the device's.
        builder_optimization_level: 0 (fast build) to 5 (fast plan); TensorRT's default is 3.
        tf32: let float32 products round their inputs to TF32 (on by default, as in TensorRT).
        sparse_weights: use 2:4 structured sparsity where weights have it.
        refit: the plan's weights can be replaced later.
        strip_plan: leave the weights out; they must be refitted before the plan can run.
        version_compatible: the plan also runs on newer TensorRT of the same major version, and on
            the lean runtime. Opening it takes `engine_host_code_allowed=True`.
        exclude_lean_runtime: with `version_compatible`: do not put the runtime into the plan.
        hardware_compatibility_level: which other GPUs the plan runs on.
        max_aux_streams: streams TensorRT may use inside one run; None for its own choice. 0 by
            default: the engine's lanes are the concurrency, and these would only compete with them.
        tactic_sources: names of `tensorrt.TacticSource`, the only ones used.
        avg_timing_iterations: runs a tactic's time is averaged over.
        max_num_tactics: tactics tried per layer at most.
        tiling_optimization_level: how hard TensorRT looks for ways to tile a network.
        profiling_verbosity: how much the plan tells of its layers (`trtasync inspect`).
        weight_streaming: weights may stay in host memory; runs are then slower and not captured.
        timing_cache: keep measured tactics for the next build.
        fp16: TensorRT 10 only: let TensorRT choose half precision where it is faster.
        bf16: TensorRT 10 only: the same with bfloat16.
        int8: TensorRT 10 only: the same with int8; takes a `calibrator`.
        calibrator: TensorRT 10 only: an `IInt8Calibrator`.
        flags: further names of `tensorrt.BuilderFlag`, e.g. "STRICT_NANS".

    Raises:
        InvalidInput: a value that no TensorRT takes.
    """

    workspace: int | None = None
    builder_optimization_level: int | None = None
    tf32: bool = True
    sparse_weights: bool = False
    refit: bool = False
    strip_plan: bool = False
    version_compatible: bool = False
    exclude_lean_runtime: bool = False
    hardware_compatibility_level: HardwareCompatibility = "none"
    max_aux_streams: int | None = 0
    tactic_sources: Sequence[str] | None = None
    avg_timing_iterations: int | None = None
    max_num_tactics: int | None = None
    tiling_optimization_level: TilingLevel | None = None
    profiling_verbosity: ProfilingVerbosity = "layer_names_only"
    weight_streaming: bool = False
    timing_cache: bool = True
    fp16: bool = False
    bf16: bool = False
    int8: bool = False
    calibrator: Any = None
    flags: Sequence[str] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is bool and not isinstance(value, bool):
                raise InvalidInput(f"{field.name} must be True or False, not {value!r}.")
        for name, allowed in _LEVELS.items():
            value = getattr(self, name)
            known = isinstance(value, str) and value in allowed
            if not known and not (value is None and name.startswith("tiling")):
                raise InvalidInput(f"{name} must be one of {list(allowed)}, not {value!r}.")
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and (not _is_whole(value) or not least <= value <= most):
                raise InvalidInput(f"{name} must be a number of {least} to {most}, not {value!r}.")
        for name in ("flags", "tactic_sources"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _names(name, value))
        for name in self.flags:
            if name in _KEYWORDS:
                raise InvalidInput(f"flags: {name} has a keyword of its own, {_KEYWORDS[name]}.")
        if self.int8 and self.calibrator is None:
            raise InvalidInput(
                "int8=True needs a calibrator (an IInt8Calibrator): without one TensorRT has no "
                "ranges and builds float32 in silence. A model with Q/DQ nodes needs neither: "
                "leave int8 out, and its types come from the network."
            )
        if self.exclude_lean_runtime and not self.version_compatible:
            raise InvalidInput("exclude_lean_runtime belongs to version_compatible; give both.")

    @property
    def carries_code(self) -> bool:
        """Plans built like this hold a runtime, which is run when they are opened."""
        return self.version_compatible and not self.exclude_lean_runtime

    @property
    def weak(self) -> tuple[str, ...]:
        """Flags by which TensorRT chooses types; () for a strongly typed network."""
        chosen = [name.upper() for name in ("fp16", "bf16", "int8") if getattr(self, name)]
        return (*chosen, *(name for name in self.flags if name in WEAK_FLAGS))

    def facts(self) -> dict[str, Any]:
        """All that makes one plan differ from another, for the cache's key."""
        expired = ("timing_cache", "calibrator")
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in expired
        }


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _names(option: str, value: Any) -> tuple[str, ...]:
    if (
        isinstance(value, str)
        or not isinstance(value, Sequence)
        or not all(isinstance(name, str) for name in value)
    ):
        raise InvalidInput(f"{option} must be a list of TensorRT's names, not {value!r}.")
    return tuple(name.upper() for name in value)


def check(config: BuilderConfig, trt: "FullTensorRT") -> None:
    """Refuse, before anything slow, what the installed TensorRT has not.

    Raises:
        InvalidInput: naming it, what there is, and the way out.
    """
    for name in config.weak:
        if not hasattr(trt.BuilderFlag, name):
            raise InvalidInput(
                f"TensorRT {trt.__version__} has no BuilderFlag.{name} ({name.lower()}=True): "
                f"{_WAY_OUT}."
            )
    for name in config.flags:
        if not hasattr(trt.BuilderFlag, name):
            raise InvalidInput(_unknown(trt, "BuilderFlag", trt.BuilderFlag, name))
    for name in config.tactic_sources or ():
        if not hasattr(trt.TacticSource, name):
            raise InvalidInput(_unknown(trt, "TacticSource", trt.TacticSource, name))
    _check_levels(config, trt)
    if config.calibrator is not None and not config.int8:
        raise InvalidInput("a calibrator belongs to int8=True; give both.")


def _check_levels(config: BuilderConfig, trt: "FullTensorRT") -> None:
    """Members and enums that came with later versions."""
    level = config.hardware_compatibility_level.upper()
    if not hasattr(trt.HardwareCompatibilityLevel, level):
        owner = trt.HardwareCompatibilityLevel
        raise InvalidInput(_unknown(trt, "HardwareCompatibilityLevel", owner, level))
    if config.tiling_optimization_level is not None and not hasattr(trt, "TilingOptimizationLevel"):
        raise InvalidInput(f"TensorRT {trt.__version__} has no tiling_optimization_level.")


def _unknown(trt: "FullTensorRT", what: str, owner: Any, name: str) -> str:
    known = sorted(each for each in dir(owner) if each.isupper())
    return f"TensorRT {trt.__version__} has no {what}.{name}; it has {', '.join(known)}."


def check_hardware(config: BuilderConfig, builder: "Builder", capability: tuple[int, int]) -> None:
    """Refuse precisions that this GPU has not, rather than have TensorRT ignore them.

    Raises:
        InvalidInput: the GPU computes no faster in it, so TensorRT would not use it.
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


def apply(config: BuilderConfig, trt: "FullTensorRT", target: "BuilderConfiguration") -> None:
    """Set everything but profiles, timing cache and progress on TensorRT's own object."""
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
                raise InvalidInput(f"TensorRT {trt.__version__} has no {name}; leave it out.")
            setattr(target, name, value)
    levels = trt.HardwareCompatibilityLevel
    target.hardware_compatibility_level = _member(levels, config.hardware_compatibility_level)
    target.profiling_verbosity = _member(trt.ProfilingVerbosity, config.profiling_verbosity)
    if config.tiling_optimization_level is not None:
        tiling = _member(trt.TilingOptimizationLevel, config.tiling_optimization_level)
        target.tiling_optimization_level = tiling
    _set_flags(config, trt, target)
    _set_tactic_sources(config, trt, target)
    if config.calibrator is not None and hasattr(target, "int8_calibrator"):
        setattr(target, "int8_calibrator", config.calibrator)  # noqa: B010 - read-only in our types


def _member(owner: Any, name: str) -> Any:
    return getattr(owner, name.upper())


def _set_flags(config: BuilderConfig, trt: "FullTensorRT", target: "BuilderConfiguration") -> None:
    flags = trt.BuilderFlag
    if not config.tf32:
        target.clear_flag(flags.TF32)  # the only one that TensorRT sets by itself
    wanted = [
        (config.sparse_weights, flags.SPARSE_WEIGHTS),
        (config.refit, flags.REFIT),
        (config.strip_plan, flags.STRIP_PLAN),
        (config.version_compatible, flags.VERSION_COMPATIBLE),
        (config.exclude_lean_runtime, flags.EXCLUDE_LEAN_RUNTIME),
        (config.weight_streaming, flags.WEIGHT_STREAMING),
        (not config.timing_cache, flags.DISABLE_TIMING_CACHE),
    ]
    for chosen, flag in wanted:
        if chosen:
            target.set_flag(flag)
    for name in dict.fromkeys((*config.weak, *config.flags)):
        target.set_flag(getattr(flags, name))


def _set_tactic_sources(
    config: BuilderConfig, trt: "FullTensorRT", target: "BuilderConfiguration"
) -> None:
    if config.tactic_sources is None:
        return
    mask = 0
    for name in config.tactic_sources:
        mask |= 1 << int(getattr(trt.TacticSource, name))
    if not target.set_tactic_sources(mask):
        raise InvalidInput(
            f"TensorRT takes tactic_sources={list(config.tactic_sources)} for nothing it can use."
        )
