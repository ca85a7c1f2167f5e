"""The door to `cuda.bindings.runtime`: its only import, and the check of return codes."""

from typing import Any

from trtasync.errors import BackendUnavailable, CudaError, DeviceLost, TrtasyncError

NOT_READY = 600
"""cudaErrorNotReady, equal to CUDA_ERROR_NOT_READY: an event has not fired yet; no error."""

STICKY = frozenset((214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 911, 999))
"""Errors after which the context is gone for this process (ECC, NVLink, illegal address, launch
failure ...): "the process must be terminated and relaunched", in the words of the runtime API."""


UNKNOWN = 999
"""cudaErrorUnknown: sticky, but also what a driver in disorder says before anything was done."""


class CaptureFailed(Exception):
    """A stream capture did not yield a graph; the stream is usable again."""


def runtime() -> Any:
    """The module `cuda.bindings.runtime`.

    Raises:
        BackendUnavailable: it is not installed.
    """
    try:
        from cuda.bindings import runtime as module
    except ImportError as error:
        raise BackendUnavailable(
            "the TensorRT backend needs cuda-python: pip install 'trtasync[cu13]' (driver R580 or "
            f"newer) or 'trtasync[cu12]' (driver R535 or newer); {error}."
        ) from error
    return module


def explain(module: Any, code: int) -> str:
    """`cudaErrorMemoryAllocation (2): out of memory`."""
    try:
        kind = module.cudaError_t(code)
    except ValueError:
        return f"CUDA error {code}"
    _, text = module.cudaGetErrorString(kind)
    words = text.decode() if isinstance(text, bytes) else str(text)
    return f"{kind.name} ({code}): {words}"


def failure(module: Any, code: int, what: str) -> TrtasyncError:
    """Return the exception for a return code other than success."""
    words = f"{what}: {explain(module, code)}"
    if code in STICKY:
        return DeviceLost(f"{words}; restart this process to use the device again.", code=code)
    return CudaError(f"{words}.", code=code)
