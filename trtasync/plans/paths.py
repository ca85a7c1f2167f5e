"""Paths as users give them."""

import os
from pathlib import Path
from typing import Any

from trtasync.errors import InvalidInput


def read_path(name: str, given: Any, wanted: str = "a path") -> Path:
    """Read a path and expand `~`.

    Raises:
        InvalidInput: it is not a path, or not one that a file can have.
    """
    text = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidInput(f"{name} must be {wanted}, not {given!r}.")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # "~name/...", or a user without a home
        raise InvalidInput(f"{name} cannot be {given!r}: {error} Name it without ~.") from error
