"""The host's log, sent to the clients that want it."""

import logging
from collections import deque
from collections.abc import Callable

from trtasync.loops.base import do_nothing
from trtasync.shared.records import Op, dump, pack

MOST_LINES = 1000
"""That wait to be told; of more the oldest are lost."""

MOST_TEXT = 4096
"""Characters of a line."""


class ClientLogs(logging.Handler):
    """Keeps lines until the event loop sends them. Thread-safe.

    Attributes:
        wake: makes the loop fetch lines; thread-safe.
        lines: as records.
    """

    def __init__(self) -> None:
        """Keep nothing yet."""
        super().__init__(logging.INFO)
        self.wake: Callable[[], None] = do_nothing
        self.lines: deque[bytes] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        try:
            text = self.format(record)[:MOST_TEXT]
        except Exception:
            self.handleError(record)
            return
        self.lines.append(pack(Op.LOG, payload=dump({"level": record.levelno, "message": text})))
        self.wake()

    def take(self) -> list[bytes]:
        """The records of what was logged since the last call."""
        lines = []
        while self.lines:
            lines.append(self.lines.popleft())
        return lines
