"""What a model does to its rows, found by brute force: far more runs than a server could spend.

A row is kept at its place while its neighbours are exchanged, and bits are compared; then places
and numbers of rows change, and values are compared. What comes out is held against what is known of
a random graph by construction: it labels the couplings that no ordinary input shows, and it finds
out a generator that errs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.rows.graphs.inputs import GraphInput
from tests.rows.graphs.values import Value
from tests.rows.random_graphs import RandomGraph
from tests.rows.support import OnnxTrial

Array = npt.NDArray[Any]

ROWS = 3
EXCHANGES = 24
"""Times that all neighbours of a row are drawn anew."""
LIVE = 0.25
"""A coupling counts from this share of exchanges that it shows in."""
CLOSE = 1e-3
"""Relative difference of a row at another place or among more rows that rounding explains."""
FREE = 6
"""Length of a free axis."""


class Truth(StrEnum):
    """What one output of a random graph is."""

    INDEPENDENT = "independent"
    """A row of it depends on the same row of the inputs only, in any company."""
    COUPLED = "coupled"
    """Ordinary neighbours change it, or it has no axis along which rows lie."""
    HIDDEN = "hidden"
    """It is coupled; ordinary neighbours show it rarely or never."""
    RANDOM = "random"
    """The same inputs give other values."""
    SHARED = "shared"
    """No row has a part in it."""
    UNKNOWABLE = "unknowable"
    """Coupled or random by construction, which nothing that was tried shows: perhaps it is dead. Or
    independent, and so close to a step that rounding is enough to take it."""


class WrongLabel(AssertionError):
    """A graph does not do what it was made to do: the generator errs."""


@dataclass
class Seen:
    """What the runs showed of one output.

    Attributes:
        exchanged: shares of exchanges that changed a kept row, by how the neighbours were drawn.
        moved: the row gives another answer at another place, or among three and five.
        crowded: it gives another answer alone or among many.
        shapeless: no axis is as long as there are rows.
        repeated: the same inputs gave the same bits.
        finite: ordinary inputs gave finite numbers.
        alive: another row gives another answer.
    """

    exchanged: dict[str, float] = field(default_factory=dict)
    moved: bool = False
    crowded: bool = False
    shapeless: bool = False
    repeated: bool = True
    finite: bool = True
    alive: bool = False


Feed = dict[str, Array]
Neighbours = Callable[[Array, int], Array]
"""From ordinary rows (the batch axis first) and the row kept to other rows."""


def _loud(rows: Array, kept: int) -> Array:
    return (rows * 1e6).astype(rows.dtype) if rows.dtype.kind == "f" else rows


def _not_numbers(rows: Array, kept: int) -> Array:
    return np.full_like(rows, np.nan) if rows.dtype.kind == "f" else rows


KINDS: dict[str, tuple[int, Neighbours]] = {
    "ordinary": (EXCHANGES, lambda rows, kept: rows),
    "loud": (4, _loud),
    "not numbers": (2, _not_numbers),
}


class Runs:
    """A random graph, loaded and fed."""

    def __init__(self, graph: RandomGraph) -> None:
        self.graph = graph
        self.chance = np.random.default_rng(graph.seed)
        self._trial = OnnxTrial(graph.model.SerializeToString())

    def __call__(self, feed: Feed) -> list[Array]:
        with np.errstate(all="ignore"):
            return self._trial.run([feed[given.name] for given in self.graph.inputs])

    def draw(self, rows: int = ROWS) -> Feed:
        """Ordinary inputs."""
        return {
            given.name: np.asarray(given.draw(self.chance, given.shape(rows, FREE)))
            for given in self.graph.inputs
        }

    def of_rows(self, feed: Feed, rows: Sequence[int]) -> Feed:
        """The same shared inputs, and these rows of the others."""
        return {g.name: _take(feed[g.name], g.batch_axis, rows) for g in self.graph.inputs}

    def beside(self, feed: Feed, kept: int, neighbours: Neighbours) -> Feed:
        """The same shared inputs and the same row at its place, others around it."""
        drawn = self.draw()
        made: Feed = {}
        for given in self.graph.inputs:
            made[given.name] = feed[given.name]
            if given.batch_axis is not None:
                made[given.name] = _beside(given, feed, drawn, kept, neighbours)
        return made


def _beside(given: GraphInput, feed: Feed, drawn: Feed, kept: int, neighbours: Neighbours) -> Array:
    assert given.batch_axis is not None
    own = np.moveaxis(feed[given.name], given.batch_axis, 0)
    with np.errstate(all="ignore"):
        rows = neighbours(np.moveaxis(drawn[given.name], given.batch_axis, 0), kept).copy()
    rows[kept] = own[kept]
    return np.ascontiguousarray(np.moveaxis(rows, 0, given.batch_axis))


def _take(array: Array, axis: int | None, rows: Sequence[int]) -> Array:
    return array if axis is None else np.take(array, rows, axis)


def observe(graph: RandomGraph) -> dict[str, Seen]:
    """Runs it some sixty times.

    Raises:
        Exception: whatever the runtime raises on ordinary inputs.
    """
    runs = Runs(graph)
    seen = {value.name: Seen() for value in graph.outputs}
    _repeat(runs, seen)
    for kind, (times, neighbours) in KINDS.items():
        _exchange(runs, seen, kind, times, neighbours)
    _move(runs, seen)
    return seen


def _repeat(runs: Runs, seen: dict[str, Seen]) -> None:
    feed = runs.draw()
    first, longer = runs(feed), runs(runs.draw(ROWS + 2))
    again = [runs(feed) for _ in range(3)]
    others = [runs(runs.draw()) for _ in range(3)]
    for index, value in enumerate(runs.graph.outputs):
        one, array = seen[value.name], first[index]
        one.repeated = all(_same(array, outputs[index]) for outputs in again)
        one.alive = not all(_same(array, outputs[index]) for outputs in others)
        one.finite = bool(np.all(np.isfinite(array.astype(np.float64))))
        lengths = [_rows_of(array, value), _rows_of(longer[index], value)]
        one.shapeless = lengths != [ROWS, ROWS + 2]


def _rows_of(array: Array, value: Value) -> int:
    return array.shape[value.batch] if value.batch is not None and array.ndim > value.batch else -1


def _exchange(
    runs: Runs, seen: dict[str, Seen], kind: str, times: int, neighbours: Neighbours
) -> None:
    changed = dict.fromkeys(seen, 0)
    for number in range(times):
        kept = number % ROWS
        feed = runs.draw()
        base, other = runs(feed), runs(runs.beside(feed, kept, neighbours))
        for value, a, b in zip(runs.graph.outputs, base, other, strict=True):
            changed[value.name] += not _same(_row(a, value, kept), _row(b, value, kept))
    for name, count in changed.items():
        seen[name].exchanged[kind] = count / times


def _move(runs: Runs, seen: dict[str, Seen]) -> None:
    """Reversed, three of five, one alone, each several times over."""
    orders = [[2, 1, 0], [0, 1, 2, 2, 1], [2, 0, 1]]
    crowds = [[1], [*range(3), *range(3)] * 3, [*range(3), *range(3)] * 6]
    feed = runs.draw()
    base = runs(feed)
    for rows in [*orders, *crowds]:
        other = runs(runs.of_rows(feed, rows))
        for value, a, b in zip(runs.graph.outputs, base, other, strict=True):
            if value.batch is None or seen[value.name].shapeless:
                continue
            apart = [_apart(_row(a, value, r), _row(b, value, i)) for i, r in enumerate(rows)]
            if np.median(apart) > CLOSE:
                where = "moved" if rows in orders else "crowded"
                setattr(seen[value.name], where, True)


def _row(array: Array, value: Value, row: int) -> Array:
    """One row, or everything where there are none."""
    if value.batch is None or array.ndim <= value.batch or array.shape[value.batch] <= row:
        return array
    taken: Array = np.take(array, row, value.batch)
    return taken


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _apart(a: Array, b: Array) -> float:
    """The largest difference relative to the largest number; inf for another shape."""
    if a.shape != b.shape:
        return float("inf")
    if not a.size or _same(a, b):
        return 0.0
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.nan_to_num(np.abs(a - b).max(), nan=np.inf) / (np.abs(a).max() + 1e-12))


def truth_of(value: Value, seen: Seen) -> Truth:
    """What an output is, by construction and by what was seen of it.

    Raises:
        WrongLabel: the two contradict each other.
    """
    if value.random:
        return Truth.UNKNOWABLE if seen.repeated else Truth.RANDOM
    if not seen.repeated:
        raise WrongLabel(f"{value}: not made to be random; it is: {seen}")
    shows = max(seen.exchanged.values()) > 0 or seen.moved or seen.crowded
    if not value.coupled:
        if value.batch is None:
            return Truth.SHARED
        if max(seen.exchanged.values()) > 0 or seen.shapeless:
            raise WrongLabel(f"{value}: made to be independent; it is not: {seen}")
        return Truth.UNKNOWABLE if shows else Truth.INDEPENDENT
    if seen.shapeless and seen.alive:
        return Truth.COUPLED
    if seen.exchanged["ordinary"] >= LIVE or seen.moved:
        return Truth.COUPLED
    return Truth.HIDDEN if shows else Truth.UNKNOWABLE


def truths(graph: RandomGraph) -> dict[str, Truth] | None:
    """What each output is; None where ordinary inputs give no finite numbers, or an error.

    Raises:
        WrongLabel: see `truth_of`.
    """
    try:
        seen = observe(graph)
    except Exception:  # the runtime's own, which have no common base
        return None
    if not all(one.finite for one in seen.values()):
        return None
    return {value.name: truth_of(value, seen[value.name]) for value in graph.outputs}
