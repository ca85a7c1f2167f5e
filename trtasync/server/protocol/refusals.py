"""How a request fails: its status, and the reason in the protocol's form."""

import json
import math
from typing import TypedDict

from trtasync.errors import (
    BackendUnavailable,
    DeviceLost,
    EngineClosed,
    EngineRestarting,
    InvalidInput,
    QueueFull,
    RequestTooLarge,
    TrtasyncError,
)

JSON = "application/json"


class ErrorBody(TypedDict):
    """What went wrong: what was expected, what came, how to mend it."""

    error: str


class Refusal(TrtasyncError):
    """A request that the server itself refuses.

    Attributes:
        status: the HTTP status.
    """

    status: int = 400


class ClientGone(TrtasyncError):
    """The client left before the answer, which nobody waits for any more."""


UNEXPECTED = "the server failed on this request; its log says why."

STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (RequestTooLarge, 413),
    (InvalidInput, 400),
    (QueueFull, 429),
    (EngineClosed, 503),
    (EngineRestarting, 503),
    (DeviceLost, 503),
    (BackendUnavailable, 503),
    (TimeoutError, 504),
    (ClientGone, 499),  # as nginx has it; nobody reads it but logs
)
"""The first kind that fits decides. 429: try again soon; 503: ask another replica."""


def status_of(error: BaseException) -> int:
    """The HTTP status of an error; 500 for an unexpected one."""
    if isinstance(error, Refusal):
        return error.status
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def text_of(error: BaseException) -> str:
    """What a client is told of an error: trtasync's own message, but nothing of a foreign one."""
    if isinstance(error, TrtasyncError):
        return str(error)
    return "the request's timeout passed." if isinstance(error, TimeoutError) else UNEXPECTED


def error_body(text: str) -> bytes:
    """The protocol's form of an error."""
    body: ErrorBody = {"error": text}
    return json.dumps(body).encode()


def retry_after(error: BaseException) -> str | None:
    """Whole seconds after which to try again; None if there is no point in that."""
    if status_of(error) not in (429, 503):
        return None
    wait = error.wait if isinstance(error, QueueFull) else None
    return str(max(1, math.ceil(wait or 0)))
