"""The page as a route of the server.

app = application(models, routes=[dashboard(models)])
"""

import base64
import hashlib
from time import monotonic

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trtasync.server.beside import beside
from trtasync.server.dashboard.history import History
from trtasync.server.dashboard.page import READY, STYLE, page
from trtasync.server.models import Models
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.responses import Answering
from trtasync.server.survey import survey

REFRESH, SLOWEST = 2, 3600
"""Seconds between two pages: by default, and at most."""

_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def dashboard(models: Models, *, path: str = "/dashboard") -> Route:
    """A route that shows the models to people.

    Args:
        models: of the server.
        path: of the route.
    """
    history, looking = History(), anyio.Lock()

    async def show(request: Request) -> Response:
        refresh = _refresh(request.query_params.get("refresh"))
        async with looking:  # or an older survey could come after a newer one
            surveyed = await survey(models)
            history.add(monotonic(), surveyed)
            html = await beside(page, surveyed, history, _state(models), refresh)
        return Response(html, headers=_HEADERS, media_type="text/html")

    return Route(path, Answering(show), methods=["GET"])


def _state(models: Models) -> str:
    if models.is_closing:
        return "ending"
    return READY if models.are_ready else "not ready"


def _refresh(asked: str | None) -> int:
    if asked is None:
        return REFRESH
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 4 and int(asked) <= SLOWEST):
        raise Refusal(f"refresh is a number of seconds from 0 (never) to {SLOWEST}.")
    return int(asked)
