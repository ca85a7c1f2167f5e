"""What a client, and what the log, is told of an error."""

import logging
from collections.abc import Mapping
from typing import NamedTuple

from trtasync.errors import TrtasyncError
from trtasync.server.protocol.bodies import FORMS
from trtasync.server.protocol.refusals import error_body, retry_after, status_of, text_of

WAYS_OUT: Mapping[int, Mapping[str, str]] = {
    401: {"www-authenticate": "Bearer"},
    415: {"accept-encoding": ", ".join(FORMS)},
}
"""Headers that tell a client how to do better, by status."""

log: logging.Logger = logging.getLogger("trtasync")


class Failure(NamedTuple):
    """An error as an answer.

    Attributes:
        status: the HTTP status.
        body: JSON.
        headers: besides those for the body's type and length.
    """

    status: int
    body: bytes
    headers: dict[str, str]


def failure_of(error: BaseException) -> Failure:
    """Return the answer to a request that ends in `error`; log the error if it is unexpected."""
    log_unexpected(error)
    wait = retry_after(error)
    status = status_of(error)
    headers = dict(WAYS_OUT.get(status, {}))
    if wait is not None:
        headers["retry-after"] = wait
    return Failure(status, error_body(text_of(error)), headers)


def log_unexpected(error: BaseException) -> None:
    """Log an error if it is unexpected: its client learns nothing about it."""
    if not isinstance(error, TrtasyncError | TimeoutError):
        log.error("a request failed unexpectedly", exc_info=error)
