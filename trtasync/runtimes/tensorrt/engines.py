"""Turns a plan file into an engine, or says why that is not possible."""

import mmap
from typing import Any

from trtasync.errors import BackendUnavailable, CudaError, PlanError
from trtasync.runtimes.cuda import Device
from trtasync.runtimes.flavours import TENSORRT, Flavour, of_plan
from trtasync.runtimes.plan_files import HEADER_BYTES, PlanFile
from trtasync.runtimes.tensorrt.api import CudaEngine, Runtime
from trtasync.runtimes.tensorrt.library import Library, of_other_flavour

OUT_OF_MEMORY = ("out of memory", "outofmemory", "requested amount of gpu memory")
"""What TensorRT's words hold, in small letters, when the device was full."""

SUPPORTED_GPUS = (
    "compute capability 8.0, 8.6, 8.9, 12.0 and above, and 7.5 if a plan is built for it"
)

NEWER_GPUS = (12, 0)
"""From here on it runs on what has no name of its own yet."""


class PlanRefused(PlanError):
    """TensorRT refuses this plan here, and more memory would not help."""


def deserialize(lib: Library, runtime: Runtime, plan: PlanFile, device: Device) -> CudaEngine:
    """Create an engine on a device from a plan file, which is mapped rather than read into memory.

    Raises:
        PlanError: with TensorRT's own words, and with the versions if they are known.
        CudaError: the device has no room for its weights.
        DeviceLost: the device is gone.
        BackendUnavailable: this TensorRT does not run on such a GPU.
    """
    try:
        with (
            plan.open() as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            return deserialize_bytes(lib, runtime, mapped, device, str(plan.path))
    except (OSError, ValueError) as error:
        raise PlanError(f"{plan.path} cannot be read: {error}.") from error


def deserialize_bytes(
    lib: Library, runtime: Runtime, plan: Any, device: Device, name: str = "the plan"
) -> CudaEngine:
    """The same from a buffer; `name` is used in messages."""
    mark = lib.journal.mark()
    device.enter()
    try:
        found, size = _look_at(plan)
        if found is not None and found is not lib.flavour:
            raise PlanError(of_other_flavour(name, found, lib.title))
        engine = runtime.deserialize_cuda_engine(plan)
    except PlanError:
        raise
    except Exception as error:  # it is not documented what the bindings raise
        raise PlanError(
            f"{lib.title} cannot read {name}: {error}. {lib.journal.since(mark)}"
        ) from error
    if engine is None:
        raise _refusal(lib, device, name, size, lib.journal.since(mark))
    return engine


def _look_at(plan: Any) -> tuple[Flavour | None, int]:
    """Find out whose plan a buffer seems to be, and its size in bytes.

    TensorRT for RTX exposes its memory as floats of one byte each: accessing an element reads
    beyond its end.
    """
    with memoryview(plan) as view, view.cast("B") as content:
        return of_plan(content[:HEADER_BYTES].tobytes()), content.nbytes


def _refusal(lib: Library, device: Device, name: str, size: int, words: str) -> Exception:
    free = device.free_bytes()  # raises DeviceLost if that is the reason
    if free < size or any(sign in words.lower() for sign in OUT_OF_MEMORY):
        return CudaError(
            f"{name} does not fit on {device.name}: of its memory {free} bytes are free, and the "
            f"plan has {size}, most of them weights. Close other engines or processes on this GPU, "
            f"or choose another one (devices=). TensorRT: {words}."
        )
    demand_gpu(device, lib, f" Its words: {words}.")
    here = f"{device.name} (compute capability {_capability(device)})"
    if lib.flavour.is_rtx:
        among = f"with '{_capability(device)}' among" if _is_named(lib, device) else "without"
        return PlanRefused(
            f"{lib.title} cannot read {name} on {here}: {words}. Its plans run on the version that "
            "built them and the GPUs they were built for: build it again with this version, "
            f"{among} compute_capabilities."
        )
    return PlanRefused(
        f"{lib.title} cannot read {name} on {here}: {words}. A plan runs on the TensorRT version "
        "and the GPU model it was built for; build it again here, or build it version and hardware "
        "compatible. A version compatible plan takes engine_host_code_allowed=True, if you trust "
        "it."
    )


def demand_gpu(device: Device, lib: Library, words: str = "") -> None:
    """Refuse a GPU on which no plan at all would run.

    Raises:
        BackendUnavailable: with `words` at its end.
    """
    if not lib.flavour.is_rtx or _is_named(lib, device) or device.capability >= NEWER_GPUS:
        return
    raise BackendUnavailable(
        f"{lib.title} does not run on {device.name} (compute capability {_capability(device)}), by "
        f"NVIDIA's decision: it runs on {SUPPORTED_GPUS}. For this GPU use TensorRT: "
        f"{TENSORRT.needs}.{words}"
    )


def _is_named(lib: Library, device: Device) -> bool:
    """Whether plans of TensorRT for RTX can be built for this kind of GPU by naming it."""
    member = f"SM{_capability(device).replace('.', '')}"
    return hasattr(getattr(lib.trt, "ComputeCapability", None), member)


def _capability(device: Device) -> str:
    return ".".join(map(str, device.capability))
