"""How TensorRT for RTX builds differently: for named GPUs, and without some options."""

from typing import Any, cast

from trtasync.errors import InvalidInput
from trtasync.plans.api import BuilderConfiguration, FullTensorRT
from trtasync.plans.config import BuilderConfig
from trtasync.runtimes.cuda import Device
from trtasync.runtimes.flavours import RTX, TENSORRT
from trtasync.runtimes.tensorrt.engines import demand_gpu
from trtasync.runtimes.tensorrt.library import Library

NEED_GPU = ("REFIT", "REFIT_IDENTICAL", "STRIP_PLAN")
"""Flags with which a build compiles for the GPU at hand (seen with 1.7)."""

ONLY_NAMED = ("7.5",)
"""GPUs on which a plan does not run that is built for all of them."""

TIMING_FLAGS = ("EDITABLE_TIMING_CACHE", "ERROR_ON_TIMING_CACHE_MISS")
"""Flags of a cache that it takes and then does without."""


def check(config: BuilderConfig, lib: Library, has_gpu: bool) -> None:
    """Refuse what only the other flavour has.

    Args:
        config: the requested configuration.
        lib: the library that is to build.
        has_gpu: whether it may use one.

    Raises:
        InvalidInput: naming the option and an alternative.
    """
    trt = cast(FullTensorRT, lib.trt)
    if not hasattr(trt, "ComputeCapability"):
        _refuse_targets(config, lib)
        return
    wanted = {
        "version_compatible": config.version_compatible,
        "hardware_compatibility_level": config.hardware_compatibility_level != "none",
        "timing_cache": config.timing_cache is True,
        **{name: name in config.flags for name in TIMING_FLAGS},
    }
    for option, chosen in wanted.items():
        if chosen:
            raise InvalidInput(
                f"{lib.title} has no {option}: leave it out, since {_INSTEAD[option]}."
            )
    _check_capabilities(config, lib, trt.ComputeCapability)
    flags = {"REFIT": config.refit, "STRIP_PLAN": config.strip_plan}
    needing = [name for name in NEED_GPU if flags.get(name) or name in config.flags]
    if needing and not has_gpu:
        raise InvalidInput(
            f"{lib.title} needs a GPU to build with {', '.join(needing)}: leave out either that or "
            "compute_capabilities."
        )


_INSTEAD = {
    "version_compatible": "every version builds the plans that it runs, without a GPU and in "
    f"seconds; or use TensorRT ({TENSORRT.install})",
    "hardware_compatibility_level": "a plan runs on every GPU that it supports, or on those named "
    "by compute_capabilities",
    **dict.fromkeys(("timing_cache", *TIMING_FLAGS), "it measures nothing while it builds"),
}


def _refuse_targets(config: BuilderConfig, lib: Library) -> None:
    if config.compute_capabilities is not None:
        raise InvalidInput(
            f"{lib.title} builds for the GPU at hand; only {RTX.title} has compute_capabilities "
            f"({RTX.install}). Leave them out, or use hardware_compatibility_level."
        )


def _check_capabilities(config: BuilderConfig, lib: Library, known: Any) -> None:
    for each in config.compute_capabilities or ():
        if not hasattr(known, _member(each)):
            names = [name[2:] for name in dir(known) if name.startswith("SM")]
            there = sorted(f"{name[:-1]}.{name[-1]}" for name in names)
            raise InvalidInput(
                f"{lib.title} does not build for compute capability {each}; it builds for "
                f"{', '.join(sorted(there, key=float))}. For other GPUs use TensorRT "
                f"({TENSORRT.install})."
            )


def demand_at_hand(config: BuilderConfig, lib: Library, device: Device) -> None:
    """Refuse to build a plan that should run on this GPU but would not.

    Raises:
        BackendUnavailable: no plan of this library would.
        InvalidInput: naming the GPU and an alternative.
    """
    demand_gpu(device, lib)
    if not lib.flavour.is_rtx:
        return
    here, named = ".".join(map(str, device.capability)), config.compute_capabilities
    wanted = f"the plan is to run on {device.name} (compute capability {here}), "
    if named is None and here in ONLY_NAMED:
        raise InvalidInput(
            f"{wanted}for which {lib.title} builds only if it is named: set "
            f"compute_capabilities=[{here!r}]."
        )
    if named is not None and here not in named:
        raise InvalidInput(
            f"{wanted}which is not among compute_capabilities {list(named)}: add it or leave them "
            "out. Plans for other GPUs are built by build_plan and opened there."
        )


def aim(config: BuilderConfig, trt: FullTensorRT, target: BuilderConfiguration) -> None:
    """Tell the builder for which GPUs the plan is.

    Raises:
        InvalidInput: it did not accept one of them.
    """
    capabilities = config.compute_capabilities or ()
    if not hasattr(trt, "ComputeCapability") or not hasattr(target, "set_compute_capability"):
        return  # `check` has made sure that it is not requested
    if capabilities and hasattr(target, "num_compute_capabilities"):
        target.num_compute_capabilities = len(capabilities)
    for index, each in enumerate(capabilities):
        member = getattr(trt.ComputeCapability, _member(each))
        if not target.set_compute_capability(member, index):
            raise InvalidInput(f"{RTX.title} refuses compute capability {each}; leave it out.")


def _member(capability: str) -> str:
    """The name of a `ComputeCapability` member."""
    return f"SM{capability.replace('.', '')}"


def written(capabilities: Any) -> str:
    """What takes the place of a GPU's name, e.g. "compute capability 8.6, 8.9"."""
    return f"compute capability {', '.join(capabilities)}"
