"""The exceptions that requests fail with."""

from copy import copy

from trtasync.errors import DeviceLost, InferenceError, TrtasyncError


def own_error(cause: BaseException) -> TrtasyncError:
    """Make an exception for one caller: one object shared by many would collect all tracebacks."""
    if not isinstance(cause, TrtasyncError):
        error: TrtasyncError = InferenceError(f"the model failed on this request: {cause}")
        error.__cause__ = cause
        return error
    try:
        error = copy(cause)
        error.__cause__ = cause.__cause__
    except TypeError:  # a backend's own class, whose `args` are not its constructor's arguments
        kind = DeviceLost if isinstance(cause, DeviceLost) else InferenceError
        error = kind(cause, **vars(cause))
        error.__cause__ = cause
    return error


def unstaged(error: Exception) -> TrtasyncError:
    """Return the error of a request that could not be staged."""
    return _explained(error, "the request could not be staged")


def unanswered(error: Exception) -> TrtasyncError:
    """Return the error of a request that ran but could not be answered."""
    return _explained(error, "the answer could not be handed out")


def not_run(error: Exception) -> TrtasyncError:
    """Return the error of the requests of a batch that could not be started."""
    return _explained(error, "the batch could not be run")


def _explained(error: Exception, what: str) -> TrtasyncError:
    if isinstance(error, TrtasyncError):
        return error
    failure = InferenceError(f"{what}: {error!r}")
    failure.__cause__ = error
    return failure
