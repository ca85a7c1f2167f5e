"""What a client may use: bytes, connections, time."""

from dataclasses import dataclass

SLOWEST = 64 << 10
"""Bytes of a body that have to come, or of an answer that have to go, in a second."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one server. Times are seconds, and kept to within one.

    Attributes:
        body: bytes of a request's body.
        bodies: bytes that have come of bodies which are not complete, of all clients together.
        connections: at once; more are told so and sent away.
        idle: between requests.
        head: for a head, from its first byte to its last; and for a handshake of TLS.
        first: for a body, besides what its bytes need at `SLOWEST`.
        in_row: for a body that is received into rows of a batch, before it has to leave them.
        unread: for a client to read what it asked for, besides what that needs at `SLOWEST`.
        linger: for a client that was sent away to take notice.
        drain: for requests to be answered when the server ends.
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
        """Seconds for a body; None: of a length that nobody knows yet."""
        return self.first + (self.body if length is None else length) / SLOWEST

    def for_answer(self, owed: int) -> float:
        """Seconds for the bytes of an answer that a client has not read yet."""
        return self.unread + owed / SLOWEST
