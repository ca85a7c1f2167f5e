"""What a client may use: bytes, connections, time."""

from dataclasses import dataclass

SLOWEST = 64 << 10
"""Bytes per second at which a body must come, and an answer be read, at least."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one server. Times are in seconds, and enforced to within one.

    Attributes:
        body: most bytes of a request's body.
        bodies: most bytes that may have come of incomplete bodies, of all clients together.
        connections: most connections at once; further clients are told so and sent away.
        idle: time between two requests.
        head: time for a head, from its first byte to its last; and for a TLS handshake.
        first: time for a body, besides what its bytes need at `SLOWEST`.
        in_row: time for a body that is received into rows of a batch, before it has to leave them.
        unread: time for a client to read an answer, besides what its bytes need at `SLOWEST`.
        linger: time for a client that was sent away to take notice.
        drain: time to answer requests when the server shuts down.
    """

    body: int = 64 << 20
    bodies: int = 1 << 30
    connections: int = 16_384
    idle: float = 75
    head: float = 10
    first: float = 20
    in_row: float = 1
    unread: float = 30
    linger: float = 2
    drain: float = 30

    def for_body(self, length: int | None) -> float:
        """Seconds for a body of `length` bytes; None if the length is not known yet."""
        return self.first + (self.body if length is None else length) / SLOWEST

    def for_answer(self, owed: int) -> float:
        """Seconds for a client to read the `owed` bytes of an answer."""
        return self.unread + owed / SLOWEST
