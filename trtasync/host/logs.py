"""The host's log, told to the clients that want it."""

import logging
from collections import deque
from collections.abc import Callable

from trtasync.shared.records import Op, dump, pack

MOST_LINES = 1000
"""That wait to be told; of more the oldest are lost."""

MOST_TEXT = 4096
"""Characters of a line."""


class ClientLogs(logging.Handler):
    """Keeps lines until the event loop sends them. From any thread."""

    def __init__(self, wake: Callable[[], None]):
        """Keep nothing yet.

        Args:
            wake: makes the loop ask for lines; from any thread.
        """
        super().__init__(logging.INFO)
        self._wake = wake
        self._lines: deque[bytes] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        try:
            text = self.format(record)[:MOST_TEXT]
        except Exception:
            self.handleError(record)
            return
        self._lines.append(pack(Op.LOG, payload=dump({"level": record.levelno, "message": text})))
        self._wake()

    def take(self) -> list[bytes]:
        """The records of what was logged since the last time."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines
