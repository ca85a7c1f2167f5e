"""Sizes in bytes, parsed and printed with units."""

import re
from fractions import Fraction

from trtasync.errors import InvalidInput

_UNITS = {
    "": 1,
    **{unit: 1024**power for power, unit in enumerate(("B", "KIB", "MIB", "GIB"))},
    **{unit: 1024**power for power, unit in enumerate(("K", "M", "G"), 1)},
    **{unit: 1000**power for power, unit in enumerate(("KB", "MB", "GB"), 1)},
}


def parse_size(text: str) -> int:
    """Parse a size such as "4GiB", "512M" (binary, as in trtexec) or "1000000".

    Raises:
        InvalidInput: it is not a size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise InvalidInput(f"{text!r} is not a size; write e.g. 4GiB, 512MiB or a number of bytes.")
    return int(Fraction(found[1]) * unit)


def written_size(size: int) -> str:
    """E.g. "98.2 MiB"."""
    number = float(size)
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{size} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.2f} GiB"
