"""Cancelling the request of a client that leaves: ASGI tells only an application that listens."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

import anyio

from trtasync.errors import TrtasyncError
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
    answers: list[Answer] = []
    failures: list[BaseException] = []
    cancelled = anyio.get_cancelled_exc_class()

    async def listen(scope: anyio.CancelScope) -> None:
        try:
            await _disconnected(receive)
        except cancelled:
            raise
        except BaseException as error:
            failures.append(error)
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen, tasks.cancel_scope)
        try:
            answers.append(await call())
        except cancelled:
            raise
        except BaseException as error:
            failures.append(error)
        tasks.cancel_scope.cancel()
    if answers:
        return answers[0]
    raise failures[0] if failures else ClientGone("the client left before the answer.")


async def _disconnected(receive: Receive) -> None:
    while (message := await receive())["type"] != "http.disconnect":
        if message.get("body"):
            raise TrtasyncError("the request's body must be read before its model is asked.")
