"""The exchange test: a row keeps its place in a batch of the same size while its neighbours change.

Independent rows then keep their *bits*, because the same kernels do the same arithmetic. (At
another position, or in a batch of another size, even independent rows may round differently.)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final

import numpy as np

from trtasync.model.arrays import Array
from trtasync.rows.budget import Refused
from trtasync.rows.compare import (
    difference,
    finite,
    relative_difference,
    rounding,
    row,
    same_bits,
)
from trtasync.rows.inputs import Row, RowSource, of_nan, scaled
from trtasync.rows.schedule import Neighbours
from trtasync.rows.verdicts import Finding, Verdict

RunRows = Callable[[Sequence[Row]], list[Array]]
"""Runs a batch of rows. Raises Refused or OutOfTime."""

LOUD: Final = 1e6
QUIET: Final = 1e-3

WIDER_INTS: Final = (10, 100, 1000, 30_000)
"""Bounds of the neighbours' integers, tried in turn until the model refuses one."""

NARROW_TURNS: Final = (False, True, True, False, True, True)
"""Which neighbours are unlike others as a whole: of two, the second, the first, both, and again."""

FEWEST_MOVED: Final = 2
"""Rows that must differ at another place where one alone may: rounding takes it over a step."""

MOST_DISTINCT: Final = 16
"""Different rows in a batch; a larger one, where the model takes no smaller, repeats them."""


def batch_of(draw: Callable[[], Row], count: int) -> list[Row]:
    """A batch of this many rows, at most `MOST_DISTINCT` of them distinct."""
    distinct = [draw() for _ in range(min(count, MOST_DISTINCT))]
    return [distinct[index % len(distinct)] for index in range(count)]


@dataclass(slots=True)
class OutputEvidence:
    """The observations of one output.

    Attributes:
        output: its name.
        axis: its batch axis.
        exchanges: the number of exchanges after which a row had kept its bits.
        moved: batches in which a row differed at another position.
        live: whether it changes with the inputs.
        settled: whether it is known to be coupled or random; more observations cannot change that.
    """

    output: str
    axis: int
    exchanges: int = 0
    moved: int = 0
    live: bool = False
    settled: Finding | None = None


class Base:
    """A batch and its outputs.

    Attributes:
        rows: the rows of the batch.
        outputs: the outputs of its run.
    """

    def __init__(self, run: RunRows, rows: Sequence[Row]):
        self.rows: list[Row] = list(rows)
        self.outputs: list[Array] = run(self.rows)
        self._run = run
        self._again: list[Array] | None = None

    def repeats(self, index: int) -> bool:
        """Whether an output is the same when the same batch is run again."""
        if self._again is None:
            try:
                self._again = self._run(self.rows)
            except Refused:
                return False
        return same_bits(self.outputs[index], self._again[index])

    def shows(self, other: "Base") -> bool:
        """Whether its outputs are finite wherever those of another batch are."""
        pairs = zip(self.outputs, other.outputs, strict=True)
        return all(finite(mine) or not finite(its) for mine, its in pairs)


class Exchanges:
    """Exchanges of neighbours in one batch, which keeps the new ones if they are fresh.

    Args:
        run: runs a batch.
        source: source of further rows.
        base: the batch.
        evidence: one for each output, in the model's order.
        tolerance: relative, for rows at another position or among more rows.

    Attributes:
        reversed: whether the batch also ran in reverse order.
    """

    def __init__(
        self,
        run: RunRows,
        source: RowSource,
        base: Base,
        evidence: Sequence[OutputEvidence],
        tolerance: float,
    ):
        self._run = run
        self._source = source
        self._base = base
        self._quiet: Base | None = None
        self._evidence = evidence
        self._tolerance = tolerance
        self._ints = 0
        several = any(array.ndim and array.dtype.kind in "iu" for array in base.rows[0])
        self._wider = list(WIDER_INTS) if several else []
        self._narrow: Iterator[bool] = cycle(NARROW_TURNS)
        self.reversed: bool = False

    @property
    def undecided(self) -> list[tuple[int, OutputEvidence]]:
        """The indices of outputs about which more can be learned."""
        return [(index, seen) for index, seen in enumerate(self._evidence) if seen.settled is None]

    def exchange(self, place: int, kind: Neighbours) -> None:
        """Keep one row, change all others, compare its bits. A refusal by the model is ignored."""
        try:
            base = self._base_of(kind)
            other = self._beside(base, place, kind)
        except Refused:
            return
        for index, seen in self.undecided:
            self._compare(base, other, place, kind, index, seen)
        if kind is Neighbours.FRESH and other.shows(self._base):
            self._base = other

    def _compare(
        self,
        base: Base,
        other: Base,
        place: int,
        kind: Neighbours,
        index: int,
        seen: OutputEvidence,
    ) -> None:
        before, after = base.outputs[index], other.outputs[index]
        if before.shape != after.shape:
            why = f"its shape went from {before.shape} to {after.shape} beside {kind}"
            self._settle(base, index, seen, why, kind.value, float("inf"))
            return
        kept, now = (row(output, seen.axis, place) for output in (before, after))
        if not same_bits(kept, now):
            apart = difference(kept, now)
            why = f"row {place} of {len(base.rows)} changed by {apart:.3g} beside {kind}"
            self._settle(base, index, seen, why, kind.value, apart)
            return
        seen.exchanges += 1
        # a NaN shows in every output that depends on the input at all
        seen.live |= kind is not Neighbours.NAN and not same_bits(before, after)
        if kind is Neighbours.COPIES:
            pairs = _pairs(after, after, seen.axis, [place] * len(base.rows))
            self._moved(base, index, seen, pairs, "among copies of itself", several=False)

    def reverse(self, count: int) -> None:
        """Run the batch's rows in reverse order, repeated. A refusal by the model is ignored.

        Args:
            count: rows to run, at least as many as the batch has.
        """
        rows = self._base.rows[::-1]
        size = len(rows)
        try:
            outputs = self._run([rows[index % size] for index in range(count)])
        except Refused:
            return
        self.reversed = True
        how = "in reverse order" + (f" among {count} rows" if count > size else "")
        self.rearranged(outputs, range(size)[::-1], how)

    def rearranged(self, outputs: Sequence[Array], places: Sequence[int], how: str) -> None:
        """Compare the base's rows with the same rows elsewhere, within the tolerance.

        Args:
            outputs: the outputs of the other run.
            places: the position there of each of the base's rows.
            how: what was different, as the end of a clause.
        """
        for index, seen in self.undecided:
            pairs = _pairs(self._base.outputs[index], outputs[index], seen.axis, places)
            self._moved(self._base, index, seen, pairs, how)

    def _moved(
        self,
        base: Base,
        index: int,
        seen: OutputEvidence,
        pairs: Sequence[tuple[Array, Array]],
        how: str,
        several: bool = True,
    ) -> None:
        """One row that differs elsewhere is no coupling; a majority of rows, or of batches, is."""
        apart = [relative_difference(*pair) for pair in pairs] or [float("inf")]
        most = max(self._tolerance, rounding(base.outputs[index].dtype))
        if max(apart) <= most:
            return
        seen.moved += 1
        if seen.moved >= FEWEST_MOVED or (several and np.median(apart) > most):
            why = f"rows changed by {max(apart):.3g} of their size {how}"
            worst = max((difference(*pair) for pair in pairs), default=float("inf"))
            self._settle(base, index, seen, why, f"the same rows {how}", worst)

    def _settle(
        self, base: Base, index: int, seen: OutputEvidence, why: str, beside: str, apart: float
    ) -> None:
        """Blame the neighbours for a difference, unless the batch is not even repeatable.

        Raises:
            OutOfTime: before that was known; the difference stands.
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

    def _beside(self, base: Base, place: int, kind: Neighbours) -> Base:
        """Build the base's batch with other neighbours; fresh ones have growing integers."""
        if not self._wider or kind not in (Neighbours.FRESH, Neighbours.LOUD):
            return Base(self._run, self._neighbours(base, place, kind, self._ints))
        ints = self._wider.pop(0)
        try:
            other = Base(self._run, self._neighbours(base, place, kind, ints))
        except Refused:
            self._wider.clear()
            return Base(self._run, self._neighbours(base, place, kind, self._ints))
        self._ints = ints
        return other

    def _neighbours(self, base: Base, place: int, kind: Neighbours, ints: int) -> list[Row]:
        kept = base.rows[place]
        batch = batch_of(lambda: self._neighbour(kept, kind, ints), len(base.rows) - 1)
        batch.insert(place, kept)
        return batch

    def _neighbour(self, kept: Row, kind: Neighbours, ints: int) -> Row:
        if kind is Neighbours.COPIES:
            return kept
        fresh = self._source.row(ints, narrow=next(self._narrow))
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
    """Pair some rows of the base with the same rows in another output, where it contains them."""
    length = other.shape[axis] if other.ndim == base.ndim else 0
    step = -(-len(places) // MOST_DISTINCT)
    return [
        (row(base, axis, here), row(other, axis, places[here]))
        for here in range(0, len(places), step)
        if places[here] < length
    ]
