"""The rate at which a queue is served."""

import math

from trtasync.scheduler.cost import TRUST

MEMORY = 0.25
"""Seconds after which a measurement counts by a third. A pause of whole seconds is forgotten within
one second of service, and a service that became slower or faster is followed as soon."""


class ServiceRate:
    """Rows per second, measured while the queue holds a full batch or more.

    Only then does the service set the pace; with less waiting, the rate of answers only reflects
    the rate of requests. Batches' own times would not do: lanes slow each other down, and small
    batches cost the event loop more than their runs.

    Attributes:
        per_second: rows per second; inf as long as nothing was measured.
    """

    __slots__ = ("_at", "_backlog", "_busy_since", "_rows", "_seconds", "per_second")

    def __init__(self, backlog: int):
        """Start without a measurement.

        Args:
            backlog: rows of the largest batch.
        """
        self._backlog = backlog
        self._busy_since: float | None = None
        self._rows = 0.0
        self._seconds = 0.0
        self._at = -math.inf
        self.per_second: float = math.inf

    def finished(self, rows: int, arrival: float, queued: int, now: float) -> None:
        """A batch of `rows` rows, the oldest of which arrived at `arrival`, ended; `queued`
        wait."""
        since = self._busy_since
        if since is not None and arrival <= since:  # otherwise everything that waited then has left
            passed = now - since
            fade = math.exp(-passed / MEMORY) if self._seconds else 0.0
            self._rows = fade * self._rows + rows
            self._seconds = fade * self._seconds + passed
            self._at = now
            if self._seconds > 0.0:  # otherwise several batches ended at the same time
                self.per_second = self._rows / self._seconds
        self._busy_since = now if queued >= self._backlog else None

    def fresh(self, now: float) -> bool:
        """Whether it was measured recently enough to refuse requests because of it, or is being
        measured: while a device stalls there is no new value, and the rate is no higher than the
        last."""
        return self._busy_since is not None or now - self._at <= TRUST
