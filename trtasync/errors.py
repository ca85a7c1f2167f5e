"""All exceptions of trtasync.

TrtasyncError
├── InvalidInput        (also ValueError)    an array, a name or an argument is not acceptable
│   └── RequestTooLarge                      the request has more rows than the queue can hold
├── QueueFull                                the bounded queue has no room at the moment
├── EngineClosed                             the engine is closing or closed
├── EngineRestarting                         the process of a shared engine is being restarted
├── WrongLoop           (also RuntimeError)  used from another event loop, thread or process
├── BackendUnavailable                       a package, driver or device is missing
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
    """The base class: `except TrtasyncError` catches everything this library raises on purpose.

    A message is one line of printable characters. Its numbers and names are also attributes, so
    that no program has to parse it. Message and attributes survive `pickle` and `copy.copy`.
    """

    def __init__(self, message: object = "", **fields: object):
        """Reduce the message to one line, and make every field an attribute.

        Args:
            message: what was expected, what was given, and how to fix it.
            fields: values of attributes that the class declares; plain data.
        """
        super().__init__(one_line(str(message)))
        self.__dict__.update(fields)


class InvalidInput(TrtasyncError, ValueError):
    """An array, a name or an argument is not acceptable. Nothing was queued.

    Attributes:
        name: the input, output or option at fault; None if there is no single one.
        axis: the axis of that tensor, counting the batch axis.
        expected: what is accepted: a length, a shape, a dtype's name, the known names.
        got: what was given instead.
    """

    name: str | None = None
    axis: int | None = None
    expected: object = None
    got: object = None


class RequestTooLarge(InvalidInput):
    """A request has more rows than `max_queue_size`: waiting does not help, smaller requests do.

    Attributes:
        limit: `max_queue_size`.
        rows: the request's rows.
    """

    limit: int = 0
    rows: int = 0


class QueueFull(TrtasyncError):
    """`max_queue_size` rows are waiting, or as many as `max_queue_time` allows.

    Raised at once: back off, shed load, or retry later. A waiting request gets it too if a request
    of better priority displaces it.

    Attributes:
        limit: rows that may wait: `max_queue_size`, or fewer because of `max_queue_time`.
        rows: the request's rows.
        queued: rows that were waiting.
        wait: estimated seconds until all of these are served; None without `max_queue_time`, for
            which it is measured, and before the first measurement.
        displaced: the request had been accepted, and was displaced by one of better priority.
    """

    limit: int = 0
    rows: int = 0
    queued: int = 0
    wait: float | None = None
    displaced: bool = False


class EngineClosed(TrtasyncError):
    """The engine is closing or closed, or was aborted while this request was waiting."""


class EngineRestarting(TrtasyncError):
    """The process of a shared engine has ended, and its successor is not ready. Nothing was queued.

    Retry in a moment. The engine continues automatically once a process is there again.

    Attributes:
        attempt: how many attempts were made to start or reach one.
        since: seconds since the last one ended.
    """

    attempt: int = 0
    since: float = 0.0


class WrongLoop(TrtasyncError, RuntimeError):
    """An engine belongs to the event loop, thread and process that opened it, not to this one.

    Attributes:
        where: which of them differs: "loop", "thread" or "process".
    """

    where: str | None = None


class BackendUnavailable(TrtasyncError):
    """The backend's package, driver or device is missing; the message says what to install."""


class PlanError(TrtasyncError):
    """The model file cannot be read, or its inputs and outputs cannot be batched."""


class BuildError(PlanError):
    """A plan could not be built from a model, or could not be saved. Nothing is left behind."""


class CudaError(TrtasyncError):
    """CUDA refused a call (out of memory, a wrong argument). The device itself is usable.

    Attributes:
        code: CUDA's error code.
    """

    code: int | None = None


class InferenceError(TrtasyncError):
    """The model failed on this request. The other requests of its batch were run again without it.

    `__cause__` holds the runtime's own exception. Recoverable: the engine continues.
    """


class RunTooLong(InferenceError):
    """A run was ended because it took longer than `run_timeout`.

    Attributes:
        seconds: the time that the run was given.
    """

    seconds: float = 0.0


class UnevenRows(InferenceError):
    """An output does not have one row for each row of its batch, so it cannot be split.

    Raised internally: a request that was run alone gets the outputs unchanged.

    Attributes:
        outputs: all outputs of the model; None if they are not known.
        rows: the number of rows that were run.
    """

    outputs: object = None
    rows: int = 0


class DeviceLost(TrtasyncError):
    """A stream or its device died under this request. Not recoverable for that stream.

    The engine continues with the remaining streams; when none is left every `infer` raises this.

    Attributes:
        stream: its number, counted from 0; None if all are lost.
        code: CUDA's error code, if a CUDA call reported the loss.
    """

    stream: int | None = None
    code: int | None = None
