"""Every exception of trtasync, one tree.

TrtasyncError
├── InvalidInput        (also ValueError)    an array, a name or an argument is not acceptable
├── QueueFull                                the bounded queue has no room for this request
├── EngineClosed                             the engine is closing or closed
├── WrongLoop           (also RuntimeError)  used from another event loop, thread or process
├── BackendUnavailable                       what the backend needs is not on this machine
├── PlanError                                a model or plan cannot be read or cannot be batched
│   └── BuildError                           a model could not be built into a plan
├── CudaError                                CUDA refused a call; the device is usable
├── InferenceError                           the model failed on this request
└── DeviceLost                               a lane or device died and cannot be used again
"""

__all__ = [
    "BackendUnavailable",
    "BuildError",
    "CudaError",
    "DeviceLost",
    "EngineClosed",
    "InferenceError",
    "InvalidInput",
    "PlanError",
    "QueueFull",
    "TrtasyncError",
    "WrongLoop",
]


class TrtasyncError(Exception):
    """The root: `except TrtasyncError` catches everything this library raises on purpose."""


class InvalidInput(TrtasyncError, ValueError):
    """An array, a name or an argument is not acceptable. Nothing was queued."""


class QueueFull(TrtasyncError):
    """`max_queue_size` rows are waiting. Raised at once: back off, shed load, or retry later."""


class EngineClosed(TrtasyncError):
    """The engine is closing or closed, or was aborted while this request was waiting."""


class WrongLoop(TrtasyncError, RuntimeError):
    """An engine belongs to the event loop, thread and process that opened it, not to this one."""


class BackendUnavailable(TrtasyncError):
    """The backend's package, driver or device is missing; the message says what to install."""


class PlanError(TrtasyncError):
    """The model file cannot be read, or its inputs and outputs cannot be batched."""


class BuildError(PlanError):
    """A model could not be built into a plan, or the plan not be kept. Nothing is left behind."""


class CudaError(TrtasyncError):
    """CUDA refused a call (out of memory, a wrong argument). The device itself is usable."""


class InferenceError(TrtasyncError):
    """The model failed on this request. Its neighbours in the batch were run again without it.

    `__cause__` holds the runtime's own exception. Recoverable: the engine goes on.
    """


class DeviceLost(TrtasyncError):
    """A lane or its device died under this request. Not recoverable for that lane.

    The engine goes on with the lanes it has left; when none is left every `infer` raises this.
    """
