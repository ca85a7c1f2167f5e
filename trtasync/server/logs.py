"""Logs for machines: each record is a JSON object on a line of its own."""

import json
import logging
import time
from typing import Any

from trtasync.tracing.context import current_trace

_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes of every record; others are a caller's `extra`."""


def log_as_json() -> None:
    """Let the root logger's handlers write JSON from now on."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonFormatter())


class JsonFormatter(logging.Formatter):
    """Writes time (UTC), level, logger and message of a record; also exception, trace and extras.

    `trace_id` and `parent_id` are those of the request being served, if its client traces.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        told: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        trace = current_trace.get()
        if trace is not None:
            told |= {"trace_id": trace.trace_id, "parent_id": trace.parent_id}
        more = {key: value for key, value in vars(record).items() if key not in _KNOWN}
        return json.dumps(more | told, default=str)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """The record's time in ISO 8601, to the millisecond."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03}Z"
