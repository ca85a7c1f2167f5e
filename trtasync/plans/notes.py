"""Notes: small JSON files beside plans, to which anything may have happened."""

import json
from pathlib import Path
from typing import Any, Final

from trtasync.system.trust import Owner, read_whole

MOST_NOTE_BYTES: Final = 1 << 20
"""Of a note; what is longer is neither written nor read."""

UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,  # numbers of hundreds of digits
    RecursionError,  # lists in lists
)
"""What reading one may raise, and taking apart what it says."""


def read_note(path: Path, owner: Owner) -> Any:
    """Read a note.

    Raises:
        FileNotFoundError: there is none.
        UNREADABLE: it is not a note, or not trusted.
    """
    with owner.open(path) as file:
        return json.loads(read_whole(file, MOST_NOTE_BYTES))
