"""Errors sent from the host to a client: class, message and fields, nothing else."""

import json
from typing import Any

from trtasync import errors
from trtasync.errors import InferenceError, TrtasyncError

MOST_TEXT = 16 * 1024
"""Characters of a message, or of a field's text, that are sent."""


def describe(error: TrtasyncError) -> dict[str, Any]:
    """Describe an error as plain data."""
    known = type(error)
    while getattr(errors, known.__name__, None) is not known:  # an internal class
        known = known.__mro__[1]
    fields = {name: value for name, value in vars(error).items() if _is_plain(value)}
    return {"error": known.__name__, "message": str(error)[:MOST_TEXT], "fields": fields}


def restore(told: dict[str, Any]) -> TrtasyncError:
    """Restore the error; one that this version does not know becomes an `InferenceError`."""
    kind: Any = getattr(errors, str(told.get("error")), None)
    if not (isinstance(kind, type) and issubclass(kind, TrtasyncError)):
        kind = InferenceError
    fields = told.get("fields")
    wanted = {
        str(name): tuple(value) if isinstance(value, list) else value
        for name, value in (fields.items() if isinstance(fields, dict) else ())
        if not str(name).startswith("_")
    }
    error: TrtasyncError = kind(told.get("message", ""), **wanted)
    return error


def _is_plain(value: object) -> bool:
    """Whether it is plain data, and short."""
    try:
        return len(json.dumps(value)) <= MOST_TEXT
    except (TypeError, ValueError):
        return False
