"""How any call is answered: what it raises becomes its status."""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from grpc import StatusCode, unary_unary_rpc_method_handler

from trtasync.server.failures import log_unexpected
from trtasync.server.grpc.descriptors import Messages
from trtasync.server.grpc.views import Call, Message
from trtasync.server.protocol.refusals import Refusal, retry_after, status_of, text_of
from trtasync.tracing.context import current_trace, read_trace

CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    413: StatusCode.INVALID_ARGUMENT,  # RESOURCE_EXHAUSTED would invite clients to try again
    429: StatusCode.RESOURCE_EXHAUSTED,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
"""By HTTP status; INTERNAL for any other."""

LONGEST_REQUEST = 64 << 10
"""Most bytes of a request that carries no tensors."""

LONGEST_TEXT = 500
"""Most characters of what a client is told: it goes in a header, of which clients take 8 KiB, and
one character of a name that they have sent may need twelve bytes there."""

Handler = Any
"""grpcio's handler of a call; grpcio comes without types."""


def unary(
    messages: Messages, asked: str, answer: Callable[[Any, Call], Awaitable[Message]]
) -> Handler:
    """grpcio's handler of a call of one request and one answer.

    Args:
        messages: of the service.
        asked: the name of the request's message.
        answer: makes the answer; what it raises becomes the status of the call.
    """

    async def answer_bytes(content: bytes, call: Call) -> bytes:
        return (await answer(read(messages, asked, content), call)).SerializeToString()

    return unary_bytes(answer_bytes)


def read(messages: Messages, asked: str, content: bytes) -> Any:
    """Read a request without tensors from its bytes.

    Raises:
        Refusal: they are no such request, or too many.
    """
    if len(content) > LONGEST_REQUEST:
        raise Refusal(
            f"a {asked} has at most {LONGEST_REQUEST} bytes, not {len(content)}.", status=413
        )
    return messages.parse(asked, content)


def unary_bytes(answer: Callable[[bytes, Call], Awaitable[bytes]]) -> Handler:
    """Like `unary`, for an `answer` that reads and writes the bytes itself."""

    async def handle(content: bytes, call: Call) -> bytes:
        follow_trace(call)
        try:
            return await answer(content, call)
        except Exception as error:
            await refuse(call, error)

    return unary_unary_rpc_method_handler(handle)


async def refuse(call: Call, error: Exception) -> NoReturn:
    """End a call with the status of `error`."""
    log_unexpected(error)
    wait = retry_after(error)
    more = () if wait is None else (("grpc-retry-pushback-ms", f"{wait}000"),)
    await call.abort(CODES.get(status_of(error), StatusCode.INTERNAL), told(error), more)


def told(error: Exception) -> str:
    """What a client is told of an error."""
    text = text_of(error)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


def metadata_of(call: Call, key: str) -> str | None:
    """The values of a key in the call's metadata, joined by commas; None without any."""
    found = [value for known, value in call.invocation_metadata() or () if known == key]
    return ",".join(map(str, found)) if found else None


def follow_trace(call: Call) -> None:
    """Let this task work for the trace that the call names."""
    state = metadata_of(call, "tracestate") or ""
    current_trace.set(read_trace(metadata_of(call, "traceparent"), state))
