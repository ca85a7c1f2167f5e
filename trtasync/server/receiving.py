"""Reading the body of a request over ASGI, up to a limit before and after decompression."""

from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from starlette.datastructures import Headers
from starlette.requests import Request

from trtasync.server.beside import beside
from trtasync.server.protocol.bodies import decompress, form_of, too_large
from trtasync.server.protocol.refusals import ClientGone, Refusal

UNPACKED_AT_ONCE = 4
"""Most bodies that are decompressed at once, in threads: a small one may turn out large."""

_unpacking: RunVar[CapacityLimiter] = RunVar("unpacking")


async def read_body(request: Request, most: int) -> bytes:
    """Return the body, decompressed.

    Args:
        request: a request of which nothing has been read yet.
        most: most bytes, before and after decompression.

    Raises:
        Refusal: it is larger (413), damaged (400), or has an unknown Content-Encoding (415).
        ClientGone: the client left before the end of it.
    """
    form = form_of(request.headers.get("content-encoding", ""))
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise too_large(most)
    body = await _receive(request, most)
    if form is None:
        return body
    return await beside(decompress, body, form, most, limiter=_limiter())


def _limiter() -> CapacityLimiter:
    """The limiter of this event loop."""
    limiter = _unpacking.get(None)
    if limiter is None:
        limiter = CapacityLimiter(UNPACKED_AT_ONCE)
        _unpacking.set(limiter)
    return limiter


async def _receive(request: Request, most: int) -> bytes:
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("the client left before the end of the request.")
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > most:
            raise too_large(most)
        more = message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def one_value(headers: Headers, name: str) -> str | None:
    """The value of a header that may come once at most; None if it does not.

    Raises:
        Refusal: it comes more than once.
    """
    values = headers.getlist(name)
    if len(values) > 1:
        raise Refusal(f"the header {name} comes {len(values)} times; send it once.")
    return values[0] if values else None
