"""The loggers "trtasync" and "trtasync.tensorrt": a record is one line of printable characters."""

import logging

from trtasync.words import one_line


def show_in_logs(record: logging.LogRecord) -> bool:
    """A filter that makes a message and its arguments safe to show in one line."""
    record.msg = one_line(str(record.msg))
    if isinstance(record.args, tuple):
        record.args = tuple(map(_argument, record.args))
    return True


def _argument(value: object) -> object:
    return value if isinstance(value, (int, float)) else one_line(str(value))
