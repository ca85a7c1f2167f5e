"""Errors as responses, in the protocol's form."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from trtasync.errors import TrtasyncError
from trtasync.server.protocol.refusals import JSON, error_body, retry_after, status_of, text_of

log: logging.Logger = logging.getLogger("trtasync")

Endpoint = Callable[[Request], Awaitable[Response]]


def failure(error: Exception) -> Response:
    """What a client is told of an error; what nobody foresaw goes to the log instead."""
    if not isinstance(error, TrtasyncError | TimeoutError):
        log.error("a request failed unexpectedly", exc_info=error)
    wait = retry_after(error)
    headers = None if wait is None else {"retry-after": wait}
    return _refusal(text_of(error), status_of(error), headers)


async def no_such_route(request: Request, error: Exception) -> Response:
    """For Starlette's own 404 and 405."""
    assert isinstance(error, HTTPException)
    return _refusal(HTTPStatus(error.status_code).phrase, error.status_code, error.headers)


def _refusal(text: str, status: int, headers: Mapping[str, str] | None) -> Response:
    return Response(error_body(text), status, headers, JSON)


class Answering:
    """An endpoint as an ASGI application that answers its errors."""

    def __init__(self, endpoint: Endpoint):
        """`endpoint` may raise whatever it likes."""
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self._endpoint(Request(scope, receive))
        except Exception as error:
            response = failure(error)
        await response(scope, receive, send)
