"""The exchange test: a row keeps its place in a batch of the same size, its neighbours change.

The rows of a model that treats them independently then keep their *bits*: the same kernels do the
same arithmetic. (At another place or in a batch of another size even those are rounded otherwise.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from trtasync.rows.budget import Refused
from trtasync.rows.compare import (
    difference,
    is_float,
    relative_difference,
    rounding,
    row,
    same_bits,
)
from trtasync.rows.inputs import Row, Source, of_nan, scaled
from trtasync.rows.verdicts import Array, Finding, Verdict

Run = Callable[[Sequence[Row]], list[Array]]
"""A batch of rows, run. Raises Refused or OutOfTime."""

LOUD: Final = 1e6
QUIET: Final = 1e-3

WIDER_INTS: Final = (10, 1000, 30_000)
"""Bounds of the neighbours' integers, tried one after the other until the model refuses one."""


MOST_DISTINCT: Final = 16
"""Different rows in a batch; a larger one, where the model takes no smaller, repeats them."""


class Neighbours(StrEnum):
    """What a row is put beside."""

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
    # by how many couplings each alone would find, so that a short budget is well spent
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


def schedule(sample: Row, rows: int) -> list[tuple[int, Neighbours]]:
    """The exchanges that make sense for such rows, as (place of the row kept, neighbours)."""
    floats = any(is_float(array.dtype) for array in sample)
    ints = any(array.dtype.kind in "iu" for array in sample)
    kinds = {Neighbours.FRESH, Neighbours.COPIES}
    if floats:
        kinds |= {Neighbours.QUIET, Neighbours.NAN}
    if floats or ints:
        kinds.add(Neighbours.LOUD)
    return list(dict.fromkeys((place.of(rows), kind) for place, kind in SCHEDULE if kind in kinds))


def batch_of(draw: Callable[[], Row], count: int) -> list[Row]:
    """So many rows, `MOST_DISTINCT` of them different at most."""
    distinct = [draw() for _ in range(min(count, MOST_DISTINCT))]
    return [distinct[index % len(distinct)] for index in range(count)]


@dataclass(slots=True)
class Evidence:
    """What has been seen of one output.

    Attributes:
        output: its name.
        axis: along which its rows lie.
        exchanges: after which a row had kept its bits.
        live: it changes with the inputs.
        settled: coupled or random; nothing can change that.
    """

    output: str
    axis: int
    exchanges: int = 0
    live: bool = False
    settled: Finding | None = None


class Base:
    """A batch and what came of it.

    Attributes:
        rows: of the batch.
        outputs: of its run.
    """

    def __init__(self, run: Run, rows: Sequence[Row]):
        self.rows = list(rows)
        self.outputs = run(self.rows)
        self._run = run
        self._again: list[Array] | None = None

    def repeats(self, index: int) -> bool:
        """Whether an output comes out the same when the same batch is run again."""
        if self._again is None:
            try:
                self._again = self._run(self.rows)
            except Refused:
                return False
        return same_bits(self.outputs[index], self._again[index])


class Exchanges:
    """Exchanges of neighbours in one batch.

    Args:
        run: runs a batch.
        source: of further rows.
        base: the batch.
        evidence: one for each output, in the model's order.
        tolerance: relative, of rows at another place or among more rows.

    Attributes:
        reversed: the batch ran in reverse order as well.
    """

    def __init__(
        self, run: Run, source: Source, base: Base, evidence: Sequence[Evidence], tolerance: float
    ):
        self._run = run
        self._source = source
        self._base = base
        self._quiet: Base | None = None
        self._evidence = evidence
        self._tolerance = tolerance
        self._ints = 0
        self._wider = list(WIDER_INTS)
        self.reversed = False

    @property
    def undecided(self) -> list[tuple[int, Evidence]]:
        """Outputs, by index, of which more may be learned."""
        return [(index, seen) for index, seen in enumerate(self._evidence) if seen.settled is None]

    def exchange(self, place: int, kind: Neighbours) -> None:
        """Keep one row, change all others, compare its bits. A refusal teaches nothing."""
        try:
            base = self._base_of(kind)
            outputs = self._beside(base, place, kind)
        except Refused:
            return
        for index, seen in self.undecided:
            before, after = base.outputs[index], outputs[index]
            if before.shape != after.shape:
                why = f"its shape went from {before.shape} to {after.shape} beside {kind}"
                self._settle(base, index, seen, why, kind.value, float("inf"))
                continue
            kept, now = (row(output, seen.axis, place) for output in (before, after))
            if not same_bits(kept, now):
                apart = difference(kept, now)
                why = f"row {place} of {len(base.rows)} changed by {apart:.3g} beside {kind}"
                self._settle(base, index, seen, why, kind.value, apart)
                continue
            seen.exchanges += 1
            # a NaN shows in every output that reads the input at all
            seen.live |= kind is not Neighbours.NAN and not same_bits(before, after)

    def reverse(self) -> None:
        """The same rows in reverse order. A refusal teaches nothing."""
        try:
            outputs = self._run(self._base.rows[::-1])
        except Refused:
            return
        self.reversed = True
        self.rearranged(outputs, range(len(self._base.rows))[::-1], "in reverse order")

    def rearranged(self, outputs: Sequence[Array], places: Sequence[int], how: str) -> None:
        """Compare the base's rows with the same rows elsewhere, within the tolerance.

        Args:
            outputs: of the other run.
            places: where each of the base's rows lay there.
            how: what was different, to end a clause with.
        """
        for index, seen in self.undecided:
            pairs = _pairs(self._base.outputs[index], outputs[index], seen.axis, places)
            apart = float(np.median([relative_difference(*pair) for pair in pairs] or [np.inf]))
            if apart > max(self._tolerance, rounding(outputs[index].dtype)):
                why = f"rows changed by {apart:.3g} of their size {how}"
                worst = max((difference(*pair) for pair in pairs), default=float("inf"))
                self._settle(self._base, index, seen, why, f"the same rows {how}", worst)

    def _settle(
        self, base: Base, index: int, seen: Evidence, why: str, beside: str, apart: float
    ) -> None:
        """A difference: the neighbours' doing, unless the batch does not even repeat itself.

        Raises:
            OutOfTime: before that could be seen; the difference stands.
        """
        seen.settled = Finding(seen.output, Verdict.COUPLED, seen.axis, why, beside, apart)
        if not base.repeats(index):
            why = "the same inputs gave other values"
            seen.settled = Finding(seen.output, Verdict.RANDOM, seen.axis, why)

    def _base_of(self, kind: Neighbours) -> Base:
        if kind is not Neighbours.QUIET:
            return self._base
        if self._quiet is None:
            self._quiet = Base(self._run, [scaled(each, QUIET) for each in self._base.rows])
        return self._quiet

    def _beside(self, base: Base, place: int, kind: Neighbours) -> list[Array]:
        """The outputs of the base's batch with other neighbours."""
        if kind is not Neighbours.LOUD or not self._wider:
            return self._run(self._neighbours(base, place, kind, self._ints))
        ints = self._wider.pop(0)
        try:
            outputs = self._run(self._neighbours(base, place, kind, ints))
        except Refused:
            self._wider.clear()
            return self._run(self._neighbours(base, place, kind, self._ints))
        self._ints = ints
        return outputs

    def _neighbours(self, base: Base, place: int, kind: Neighbours, ints: int) -> list[Row]:
        kept = base.rows[place]
        batch = batch_of(lambda: self._neighbour(kept, kind, ints), len(base.rows) - 1)
        batch.insert(place, kept)
        return batch

    def _neighbour(self, kept: Row, kind: Neighbours, ints: int) -> Row:
        if kind is Neighbours.COPIES:
            return kept
        fresh = self._source.row(ints if kind is Neighbours.LOUD else 0)
        match kind:
            case Neighbours.LOUD:
                return scaled(fresh, LOUD)
            case Neighbours.QUIET:
                return scaled(fresh, 1 / QUIET)
            case Neighbours.NAN:
                return of_nan(fresh)
        return fresh


def _pairs(
    base: Array, other: Array, axis: int, places: Sequence[int]
) -> list[tuple[Array, Array]]:
    """Some rows of the base and the same rows in another output, as far as that has them."""
    length = other.shape[axis] if other.ndim == base.ndim else 0
    step = -(-len(places) // MOST_DISTINCT)
    return [
        (row(base, axis, here), row(other, axis, places[here]))
        for here in range(0, len(places), step)
        if places[here] < length
    ]
