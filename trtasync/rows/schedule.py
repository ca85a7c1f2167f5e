"""Which neighbours a row is tested beside, and in which order."""

from enum import StrEnum
from typing import Final

from trtasync.rows.compare import is_float
from trtasync.rows.inputs import Row


class Neighbours(StrEnum):
    """The neighbours of the row that is kept."""

    FRESH = "other rows"
    LOUD = "rows times 1e6"
    QUIET = "loud rows, itself quiet"
    NAN = "rows of NaN"
    COPIES = "copies of itself"


class Place(StrEnum):
    """Which row of the batch is kept."""

    FIRST = "first"
    MIDDLE = "middle"
    LAST = "last"

    def of(self, rows: int) -> int:
        """Its index in a batch."""
        return {"first": 0, "middle": rows // 2, "last": rows - 1}[self.value]


_FIRST, _MIDDLE, _LAST = Place.FIRST, Place.MIDDLE, Place.LAST

SCHEDULE: Final = (
    # ordered by how many couplings each alone would find, so that a short budget is well spent
    (_FIRST, Neighbours.FRESH),
    (_LAST, Neighbours.LOUD),
    (_MIDDLE, Neighbours.QUIET),
    (_LAST, Neighbours.NAN),
    (_FIRST, Neighbours.LOUD),
    (_MIDDLE, Neighbours.COPIES),
    (_LAST, Neighbours.FRESH),
    (_FIRST, Neighbours.NAN),
    (_LAST, Neighbours.QUIET),
    (_MIDDLE, Neighbours.FRESH),
    (_FIRST, Neighbours.COPIES),
    (_MIDDLE, Neighbours.LOUD),
    (_FIRST, Neighbours.QUIET),
    (_MIDDLE, Neighbours.NAN),
    (_LAST, Neighbours.COPIES),
)


REVERSED_AGAIN: Final = 6
"""After the first exchange, and after this one (counted from 0) when the batch holds other rows, it
runs in reverse order as well."""


def schedule(sample: Row, rows: int) -> list[tuple[int, Neighbours]]:
    """The exchanges that make sense for such rows, as (place of the kept row, neighbours)."""
    if any(is_float(array.dtype) for array in sample):
        return list(dict.fromkeys((place.of(rows), kind) for place, kind in SCHEDULE))
    # neither loud nor quiet nor NaN: neighbours differ only in the range of their integers
    return [
        (place.of(rows), kind if kind is Neighbours.COPIES else Neighbours.FRESH)
        for place, kind in SCHEDULE
        if kind is not Neighbours.QUIET
    ]
