"""What a client may use: bytes, calls, time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one server. Times are seconds.

    Attributes:
        message: bytes of a request, before and after decompression.
        calls: at once; more are refused.
        of_stream: requests of one stream that are at work, or whose answers are not read yet.
            A stream is not read further meanwhile.
        drain: for calls to be answered when the server ends.
    """

    message: int = 64 << 20
    calls: int = 16_384
    of_stream: int = 256
    drain: float = 30
