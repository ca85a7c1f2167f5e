"""What Ray raises, as what an engine would have raised; and what a replica may raise."""

from collections.abc import Callable
from typing import Any, NamedTuple

from trtasync.errors import (
    BackendUnavailable,
    DeviceLost,
    EngineClosed,
    InferenceError,
    QueueFull,
)


class RayErrors(NamedTuple):
    """Ray's own exceptions; given, so that this module needs no Ray.

    Attributes:
        task: carries what a replica raised, as `cause`.
        replica: the replica died, or cannot be reached.
        crowded: more requests wait than may.
        unavailable: there is no replica, and there will be none.
        cancelled: the request was cancelled, not by who asks here.
    """

    task: type[BaseException]
    replica: tuple[type[BaseException], ...]
    crowded: type[BaseException]
    unavailable: tuple[type[BaseException], ...]
    cancelled: tuple[type[BaseException], ...]


def as_ours(error: BaseException, known: RayErrors) -> BaseException:
    """What to raise to a caller instead of `error`, which may come bare or in a task error."""
    if isinstance(error, known.task):
        cause: Any = getattr(error, "cause", None)
        return error if cause is None else as_ours(cause, known)
    if isinstance(error, known.crowded):
        return error if isinstance(error, QueueFull) else _full(error)
    if isinstance(error, known.unavailable):
        return BackendUnavailable(f"Ray has no replica for this request: {error}")
    if isinstance(error, known.cancelled):
        return EngineClosed("Ray cancelled this request: its replica is shutting down.")
    if isinstance(error, known.replica):
        return DeviceLost(f"the replica was lost under this request: {error}")
    return error


def _full(error: Any) -> QueueFull:
    return QueueFull(f"Ray's router has as many waiting requests as allowed: {error}")


def sendable(error: Exception, send: Callable[[Exception], object]) -> Exception:
    """What a replica raises: `error`, or what tells of it if it does not survive being sent.

    Of one that does not, Ray makes another error in each of its modes.

    Args:
        error: of a subclass, perhaps.
        send: there, and reads it.
    """
    try:
        send(error)
    except Exception:
        return InferenceError(f"{type(error).__name__}: {error} (it cannot be sent as it is)")
    return error
