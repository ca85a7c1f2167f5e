"""Branches of which it is not known which is taken: joined, or followed one by one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from trtasync.rows.proof.sizes import Size, Symbols
from trtasync.rows.proof.tensors import (
    Coupled,
    Mixes,
    NeverComputed,
    NotProved,
    Tensor,
    Value,
    same_values,
)

MOST_CHOICES: Final = 4
"""Made one after another within one graph."""


class Exhausted(Exception):
    """The proof has used up its effort."""


@dataclass(slots=True)
class Effort:
    """What one proof may still spend.

    Attributes:
        nodes: how many more may be evaluated.
    """

    nodes: int

    def spend(self) -> None:
        self.nodes -= 1
        if self.nodes < 0:
            raise Exhausted


class Choices:
    """Which way each branch that cannot be joined goes, in the order in which they are met.

    Attributes:
        wanted: another choice was requested.
    """

    def __init__(self, given: tuple[bool, ...] = ()) -> None:
        self._given = iter(given)
        self.wanted: bool = False

    def take(self) -> bool | None:
        """The next choice; None if both ways have to be joined."""
        chosen = next(self._given, None)
        self.wanted |= chosen is None
        return chosen


def followed(
    evaluate: Callable[[Choices], list[Value]], symbols: Symbols, effort: Effort
) -> list[Value]:
    """What holds for a graph's outputs whichever way its branches go.

    Args:
        evaluate: maps choices to outputs; given the same choices, it meets the same branches.
        symbols: of this proof.
        effort: that of this proof; most of it is left for what follows.
    """
    waiting: list[tuple[bool, ...]] = [()]
    found: list[Value] | None = None
    while waiting:
        given = waiting.pop()
        choices = Choices(given)
        before = effort.nodes
        values = evaluate(choices)
        dear = 2 * (before - effort.nodes) > effort.nodes // 4
        missing = any(isinstance(value, Coupled) for value in values)
        if missing and choices.wanted and len(given) < MOST_CHOICES and not dear:
            waiting += [(*given, True), (*given, False)]
            continue
        found = values if found is None else _either(found, values, symbols)
    return found or []


def _either(ones: list[Value], others: list[Value], symbols: Symbols) -> list[Value]:
    values: list[Value] = []
    for one, other in zip(ones, others, strict=True):
        try:
            values.append(joined(one, other, symbols, set()))
        except NotProved as reason:
            values.append(Coupled(f"it {reason}", isinstance(reason, Mixes)))
    return values


def joined(one: Value, other: Value, symbols: Symbols, widened: set[Size]) -> Value:
    """What holds for both.

    Args:
        one: a value.
        other: a value.
        symbols: of this proof.
        widened: lengths of `one` that stand for any length; those created here are added.
    """
    if isinstance(one, NeverComputed) or isinstance(other, Coupled):
        return other
    if isinstance(other, NeverComputed) or isinstance(one, Coupled):
        return one
    if one.layout != other.layout:
        raise NotProved("has rows along different axes, depending on the branch taken")
    if one.places != other.places:
        raise NotProved("depends on the places of rows, depending on the branch taken")
    if one.counts_rows != other.counts_rows:
        raise NotProved("counts the rows, depending on the branch taken")
    values = one.values if same_values(one.values, other.values) else None
    if values is None and (one.counts_rows or other.counts_rows):
        raise NotProved("counts the rows, depending on the branch taken")
    if one.shape is None or other.shape is None or len(one.shape) != len(other.shape):
        if one.layout is not None:
            raise NotProved("has rows of different ranks, depending on the branch taken")
        return Tensor(None)
    shape = []
    for size, two in zip(one.shape, other.shape, strict=True):
        if size != two and size.rows:
            raise NotProved("has different numbers of rows, depending on the branch taken")
        if size != two and size not in widened:
            size = symbols.fresh()
            widened.add(size)
        shape.append(size)
    return Tensor(tuple(shape), one.layout, values, one.places)
