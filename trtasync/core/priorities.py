"""What callers mean by `priority`."""

from operator import index

from trtasync.errors import InvalidInput
from trtasync.scheduler.requests import DEFAULT_LEVEL, LEVELS


def read_level(priority: object) -> int:
    """The level that a `priority` of `Engine.infer` means.

    Raises:
        InvalidInput: it means none.
    """
    # A check against `typing.SupportsIndex` would take as long as a refused request.
    if hasattr(priority, "__index__") and not isinstance(priority, bool):
        level = index(priority)
        if 0 <= level <= LEVELS:
            return level or DEFAULT_LEVEL
    raise InvalidInput(f"priority must be 0 (default) or 1 (first) to {LEVELS}, not {priority!r}.")
