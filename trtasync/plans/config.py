"""The builder's configuration as plain keywords; `configuring` translates it for TensorRT."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from trtasync.errors import InvalidInput

HardwareCompatibility = Literal["none", "ampere_plus", "same_compute_capability"]
ProfilingVerbosity = Literal["layer_names_only", "detailed", "none"]
TilingLevel = Literal["none", "fast", "moderate", "full"]

WEAK_FLAGS = (
    *("FP16", "BF16", "INT8", "FP8", "INT4", "FP4"),
    *("OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"),
)
"""Have TensorRT choose types by itself. Deprecated since 10.12 and gone in 11."""

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

_CAPABILITY = re.compile(r"[1-9][0-9]?\.[0-9]")

_LEVELS = {
    "hardware_compatibility_level": ("none", "ampere_plus", "same_compute_capability"),
    "profiling_verbosity": ("layer_names_only", "detailed", "none"),
    "tiling_optimization_level": ("none", "fast", "moderate", "full"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderConfig:
    """How TensorRT builds a plan. None keeps TensorRT's default.

    Args:
        workspace: bytes of scratch memory that a layer may use; None for all of the device's.
        builder_optimization_level: 0 (fast build) to 5 (fast plan); TensorRT's default is 3.
        tf32: let float32 products round their inputs to TF32 (on by default, as in TensorRT).
        sparse_weights: use 2:4 structured sparsity where weights have it.
        refit: the plan's weights can be replaced later.
        strip_plan: leave the weights out; they must be refitted before the plan can run.
        version_compatible: the plan also runs on newer TensorRT of the same major version, and on
            the lean runtime. Opening it requires `engine_host_code_allowed=True`.
        exclude_lean_runtime: with `version_compatible`: do not include the runtime in the plan.
        hardware_compatibility_level: which other GPUs the plan runs on.
        max_aux_streams: streams that TensorRT may use inside one run; None for its own choice. 0 by
            default: concurrency comes from the engine's streams, with which these would compete.
        tactic_sources: names of `tensorrt.TacticSource`; only these are used.
        avg_timing_iterations: runs over which a tactic's time is averaged.
        max_num_tactics: the most tactics tried per layer.
        tiling_optimization_level: how hard TensorRT looks for ways to tile a network.
        profiling_verbosity: how much the plan records about its layers (`trtasync inspect`).
        weight_streaming: weights may stay in host memory; runs are then slower and not captured.
        timing_cache: keep measured tactics for the next build; None: if TensorRT measures any.
            TensorRT for RTX measures none.
        compute_capabilities: TensorRT for RTX only: the GPUs that the plan is for, e.g. ["8.6",
            "8.9"]. The plan is then built without a GPU, driver or CUDA. None for all GPUs that it
            supports, built on one.
        fp16: TensorRT 10 only: let TensorRT choose half precision where it is faster.
        bf16: TensorRT 10 only: the same with bfloat16.
        int8: TensorRT 10 only: the same with int8; requires a `calibrator`.
        calibrator: TensorRT 10 only: an `IInt8Calibrator`.
        flags: further names of `tensorrt.BuilderFlag`, e.g. "STRICT_NANS".

    Raises:
        InvalidInput: a value that no TensorRT accepts.
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
    timing_cache: bool | None = None
    compute_capabilities: Sequence[str] | None = None
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
        if self.timing_cache is not None and not isinstance(self.timing_cache, bool):
            raise InvalidInput(
                f"timing_cache must be True, False or None, not {self.timing_cache!r}."
            )
        for name, allowed in _LEVELS.items():
            value = getattr(self, name)
            known = isinstance(value, str) and value in allowed
            if not known and not (value is None and name.startswith("tiling")):
                raise InvalidInput(f"{name} must be one of {list(allowed)}, not {value!r}.")
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and (not _is_whole(value) or not least <= value <= most):
                raise InvalidInput(f"{name} must be from {least} to {most}, not {value!r}.")
        for name in ("flags", "tactic_sources"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _names(name, value))
        if self.compute_capabilities is not None:
            object.__setattr__(self, "compute_capabilities", _sorted(self.compute_capabilities))
        for name in self.flags:
            if name in _KEYWORDS:
                raise InvalidInput(f"flags: {name} has its own keyword; use {_KEYWORDS[name]}.")
        if self.int8 and self.calibrator is None:
            raise InvalidInput(
                "int8=True needs a calibrator (an IInt8Calibrator): without one TensorRT has no "
                "ranges and silently builds float32. A model with Q/DQ nodes needs neither: "
                "leave int8 out, and its types come from the network."
            )
        if self.exclude_lean_runtime and not self.version_compatible:
            raise InvalidInput("exclude_lean_runtime requires version_compatible; give both.")

    @property
    def carries_code(self) -> bool:
        """Whether plans built like this contain a runtime, which is run when they are opened."""
        return self.version_compatible and not self.exclude_lean_runtime

    @property
    def weak(self) -> tuple[str, ...]:
        """Flags that let TensorRT choose types; () for a strongly typed network."""
        chosen = [name.upper() for name in ("fp16", "bf16", "int8") if getattr(self, name)]
        return (*chosen, *(name for name in self.flags if name in WEAK_FLAGS))

    def facts(self) -> dict[str, Any]:
        """Everything by which plans differ, for the cache's key."""
        left_out = ["timing_cache", "calibrator"]
        if self.compute_capabilities is None:  # as keys were before this option
            left_out.append("compute_capabilities")
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in left_out
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


def _sorted(capabilities: Any) -> tuple[str, ...]:
    """Sort them, so that one set of them is one key in the cache."""
    if (
        isinstance(capabilities, str)
        or not isinstance(capabilities, Sequence)
        or not capabilities
        or not all(isinstance(each, str) and _CAPABILITY.fullmatch(each) for each in capabilities)
    ):
        raise InvalidInput(
            'compute_capabilities must be a list of strings like ["8.6", "8.9"], not '
            f"{capabilities!r}."
        )
    return tuple(sorted(set(capabilities), key=lambda each: tuple(map(int, each.split(".")))))
