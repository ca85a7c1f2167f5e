"""Every exception of trtasync, one tree.

TrtasyncError
├── InvalidInput        (also ValueError)    an array, a name or an argument is not acceptable
│   └── RequestTooLarge                      the request has more rows than the queue ever takes
├── QueueFull                                the bounded queue has no room for this request now
├── EngineClosed                             the engine is closing or closed
├── EngineRestarting                         the process of a shared engine is being started anew
├── WrongLoop           (also RuntimeError)  used from another event loop, thread or process
├── BackendUnavailable                       what the backend needs is not on this machine
├── PlanError                                a model or plan cannot be read or cannot be batched
│   └── BuildError                           a model could not be built into a plan
├── CudaError                                CUDA refused a call; the device is usable
├── InferenceError                           the model failed on this request
│   └── RunTooLong                           its run took longer than `run_timeout`
└── DeviceLost                               a stream or device died and cannot be used again
"""

from trtasync.words import one_line

__all__ = [
    "BackendUnavailable",
    "BuildError",
    "CudaError",
    "DeviceLost",
    "EngineClosed",
    "EngineRestarting",
    "InferenceError",
    "InvalidInput",
    "PlanError",
    "QueueFull",
    "RequestTooLarge",
    "RunTooLong",
    "TrtasyncError",
    "WrongLoop",
]


class TrtasyncError(Exception):
    """The root: `except TrtasyncError` catches everything this library raises on purpose.

    A message is one line of visible characters. The numbers and names in it are attributes too, as
    they are, so that no program has to read it; they and the message survive `pickle` and
    `copy.copy`.
    """

    def __init__(self, message: object = "", **fields: object):
        """Make the message one line, and every field an attribute.

        Args:
            message: what was expected, what came, how to mend it.
            fields: values of attributes that the class declares; plain data.
        """
        super().__init__(one_line(str(message)))
        self.__dict__.update(fields)


class InvalidInput(TrtasyncError, ValueError):
    """An array, a name or an argument is not acceptable. Nothing was queued.

    Attributes:
        name: the input, output or option it is about; None when it is about none or several.
        axis: the axis of that tensor, counted with the batch axis.
        expected: what it takes there: a length, a shape, a dtype's name, the known names.
        got: what came instead.
    """

    name: str | None = None
    axis: int | None = None
    expected: object = None
    got: object = None


class RequestTooLarge(InvalidInput):
    """A request has more rows than `max_queue_size`: waiting does not help, smaller requests do.

    Attributes:
        limit: `max_queue_size`.
        rows: of the request.
    """

    limit: int = 0
    rows: int = 0


class QueueFull(TrtasyncError):
    """`max_queue_size` rows are waiting, or as many as `max_queue_time` lets wait.

    Raised at once: back off, shed load, or retry later. A request that waits gets it too, when one
    of a better priority takes its place.

    Attributes:
        limit: rows that may wait: `max_queue_size`, or fewer for `max_queue_time`.
        rows: of the request.
        queued: rows that waited.
        wait: seconds until all of these have been served, as measured; None without
            `max_queue_time`, which is what it is measured for, and before there is a measurement.
        displaced: it had been accepted, and gave way to a request of a better priority.
    """

    limit: int = 0
    rows: int = 0
    queued: int = 0
    wait: float | None = None
    displaced: bool = False


class EngineClosed(TrtasyncError):
    """The engine is closing or closed, or was aborted while this request was waiting."""


class EngineRestarting(TrtasyncError):
    """The process of a shared engine has ended, and there is no other one yet. Nothing was queued.

    Retry in a moment. The engine goes on by itself when a process is there again.

    Attributes:
        attempt: how often it was tried to start or to reach one.
        since: seconds since the last one ended.
    """

    attempt: int = 0
    since: float = 0.0


class WrongLoop(TrtasyncError, RuntimeError):
    """An engine belongs to the event loop, thread and process that opened it, not to this one.

    Attributes:
        where: what was another one here: "loop", "thread" or "process".
    """

    where: str | None = None


class BackendUnavailable(TrtasyncError):
    """The backend's package, driver or device is missing; the message says what to install."""


class PlanError(TrtasyncError):
    """The model file cannot be read, or its inputs and outputs cannot be batched."""


class BuildError(PlanError):
    """A model could not be built into a plan, or the plan not be kept. Nothing is left behind."""


class CudaError(TrtasyncError):
    """CUDA refused a call (out of memory, a wrong argument). The device itself is usable.

    Attributes:
        code: CUDA's number for it.
    """

    code: int | None = None


class InferenceError(TrtasyncError):
    """The model failed on this request. Its neighbours in the batch were run again without it.

    `__cause__` holds the runtime's own exception. Recoverable: the engine goes on.
    """


class RunTooLong(InferenceError):
    """A run was ended because it took longer than `run_timeout`.

    Attributes:
        seconds: that it had.
    """

    seconds: float = 0.0


class UnevenRows(InferenceError):
    """An output has no row for each row of its batch, so rows cannot be told apart.

    Raised inside: a request that was run by itself gets what came as it is.

    Attributes:
        outputs: all of them, as the model gave them; None where that is not known.
        rows: that were run.
    """

    outputs: object = None
    rows: int = 0


class DeviceLost(TrtasyncError):
    """A stream or its device died under this request. Not recoverable for that stream.

    The engine goes on with the streams it has left; when none is left every `infer` raises this.

    Attributes:
        stream: which one it was, counted from 0; None when all are lost.
        code: CUDA's number for what happened, if it came from a call of CUDA.
    """

    stream: int | None = None
    code: int | None = None
