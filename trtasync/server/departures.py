"""Cancelling the request of a client that leaves: ASGI tells only an application that listens."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

from trtasync.errors import TrtasyncError
from trtasync.loops import accompanied
from trtasync.server.protocol.refusals import ClientGone

Answer = TypeVar("Answer")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


async def while_connected(receive: Receive, call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Await `call()`, which is cancelled when the client disconnects.

    An exception of the call is raised as it is, not in an exception group.

    Args:
        receive: of a request whose body has been read to its end.
        call: what the client waits for.

    Raises:
        ClientGone: the client left before the answer.
        TrtasyncError: the body was not read to its end.
    """
    return await accompanied(call, _until_gone(receive))


async def _until_gone(receive: Receive) -> None:
    while (message := await receive())["type"] != "http.disconnect":
        if message.get("body"):
            raise TrtasyncError("the request's body must be read before its model is asked.")
    raise ClientGone("the client left before the answer.")
