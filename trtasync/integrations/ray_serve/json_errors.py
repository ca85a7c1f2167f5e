"""What Ray answers by itself, in the protocol's form: {"error": "..."}.

Ray's proxies, and replicas that are asked directly, take it by an environment variable:

RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=trtasync.integrations.ray_serve.json_errors:middlewares
"""

import re
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trtasync.server.protocol.refusals import JSON, error_body

PROTOCOL = re.compile(r"/v2(/(models|health|repository)(/.*)?)?/?$")
"""How paths of the protocol end. Others are answered as they are: `v2` is in many an API's."""


def middlewares() -> list[Middleware]:
    """For Ray, which wants a function that gives a list."""
    return [Middleware(JsonErrors)]


class JsonErrors:
    """Turns errors that are plain text into JSON."""

    def __init__(self, app: ASGIApp):
        """Of this application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not PROTOCOL.search(scope["path"]):
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _Turning(send))


class _Turning:
    """Sends what it is given; an error that is not JSON when all of it is there."""

    def __init__(self, send: Send):
        self._send = send
        self._start: Message = {}
        self._text = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_foreign(message):
            self._start = message
        elif not self._start:
            await self._send(message)
        else:
            self._text += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish()

    async def _finish(self) -> None:
        text = self._text.decode(errors="replace").strip().strip('"')
        body = error_body(text or HTTPStatus(self._start["status"]).phrase)
        headers = MutableHeaders(scope=self._start)
        headers["content-type"], headers["content-length"] = JSON, str(len(body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})


def _is_foreign(start: Message) -> bool:
    kind = Headers(scope=start).get("content-type", "")
    return start["status"] >= HTTPStatus.BAD_REQUEST and not kind.startswith(JSON)
