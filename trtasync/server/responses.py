"""Errors as Starlette responses, in the protocol's form."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from trtasync.server.failures import failure_of
from trtasync.server.protocol.refusals import JSON, error_body
from trtasync.tracing.context import current_trace, read_trace

Endpoint = Callable[[Request], Awaitable[Response]]


def failure(error: Exception) -> Response:
    """The answer to a request that ends in `error`."""
    told = failure_of(error)
    return Response(told.body, told.status, told.headers, JSON)


async def no_such_route(request: Request, error: Exception) -> Response:
    """Give Starlette's own 404 and 405 the protocol's form."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    remedy = ": v2/openapi.json lists the routes." if status is HTTPStatus.NOT_FOUND else ""
    body = error_body(f"{status.phrase}{remedy}")
    return Response(body, error.status_code, error.headers, JSON)


class Answering:
    """An endpoint as an ASGI application that answers its errors and follows its client's trace."""

    def __init__(self, endpoint: Endpoint):
        """`endpoint` may raise any Exception."""
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        states = ",".join(request.headers.getlist("tracestate"))
        token = current_trace.set(read_trace(request.headers.get("traceparent"), states))
        try:
            response = await self._endpoint(request)
        except Exception as error:
            response = failure(error)
        finally:
            current_trace.reset(token)
        await response(scope, receive, send)
