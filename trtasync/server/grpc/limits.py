"""What a client may use: bytes, calls, time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one server. Times are in seconds.

    Attributes:
        message: most bytes of a request, before and after decompression.
        calls: most calls at once; more are refused.
        of_stream: most requests of one stream that are in progress, or whose answers are not read
            yet. No more of the stream is read meanwhile.
        drain: time to answer calls when the server shuts down.
    """

    message: int = 64 << 20
    calls: int = 16_384
    of_stream: int = 256
    drain: float = 30
