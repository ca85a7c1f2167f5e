"""Reads the `priority` that callers give."""

from operator import index

from trtasync.errors import InvalidInput
from trtasync.scheduler.requests import DEFAULT_LEVEL, LEVELS


def read_level(priority: object) -> int:
    """Return the level, 1 to 9, of a `priority` given to `Engine.infer`.

    Raises:
        InvalidInput: it is not an integer from 0 to 9.
    """
    # A check against `typing.SupportsIndex` would take as long as a refused request.
    if hasattr(priority, "__index__") and not isinstance(priority, bool):
        level = index(priority)
        if 0 <= level <= LEVELS:
            return level or DEFAULT_LEVEL
    raise InvalidInput(f"priority must be 0 (default) or 1 (first) to {LEVELS}, not {priority!r}.")
