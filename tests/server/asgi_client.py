"""The client's side of one ASGI request."""

from collections.abc import Sequence
from typing import Any

import anyio

from tests.server.serving import INFER

LEFT = {"type": "http.disconnect"}


class Client:
    """The ASGI side of a client.

    Attributes:
        pieces: of its body, that are still to be sent.
        complete: the last of them is the last.
        leaves: it leaves, once it has sent them.
        got: what was sent to it.
    """

    def __init__(self, *pieces: bytes, complete: bool = True):
        self.pieces = list(pieces)
        self.complete = complete
        self.leaves = anyio.Event()
        self.got: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        """A piece of the body, or that the client has left."""
        if self.pieces:
            body = self.pieces.pop(0)
            more = bool(self.pieces) or not self.complete
            return {"type": "http.request", "body": body, "more_body": more}
        await self.leaves.wait()
        return LEFT

    async def send(self, message: Any) -> None:
        """Keep what is sent to it."""
        self.got.append(dict(message))


def scope(headers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Of a request for the model "m"."""
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    return {
        "type": "http",
        "method": "POST",
        "path": INFER,
        "headers": pairs,
        "query_string": b"",
        "app": None,
    }
