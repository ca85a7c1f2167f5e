"""Whether an engine gets on with its work."""

from trtasync.errors import DeviceLost, RunTooLong
from trtasync.shared.protocol import AnyEngine


class Progress:
    """An engine that is looked at from time to time."""

    def __init__(self, engine: AnyEngine, patience: float):
        """Nothing is wrong yet.

        Args:
            engine: to look at.
            patience: seconds within which some batch has to end while there is work.
        """
        self._engine = engine
        self._patience = patience
        self._batches = -1
        self._since = 0.0

    def check(self, now: float) -> None:
        """Look, at this time in seconds.

        Raises:
            DeviceLost: it has no stream left.
            RunTooLong: it has work, and no batch has ended for too long.
        """
        counts = self._engine.statistics()
        if not any(stream.alive for stream in counts.streams):
            raise DeviceLost("no stream is left; this replica must be replaced.")
        has_work = counts.queued + counts.in_flight > 0
        ended = counts.batches + counts.failed + counts.retried
        if not has_work or ended != self._batches:
            self._batches, self._since = ended, now
        elif now - self._since >= self._patience:
            raise RunTooLong(
                f"no batch has ended for {now - self._since:.0f} s, and {counts.in_flight} rows "
                f"run; stalled_after={self._patience:g} allows no more.",
                seconds=self._patience,
            )
