"""One node of a graph with what is known about its inputs: the argument of a rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trtasync.rows.proof.sizes import ONE, Size, Symbols
from trtasync.rows.proof.tensors import Mixes, NotProved, RowLayout, Tensor, Value

MOST_FOLDED = 1024
"""Larger tensors are not looked into."""
MOST_SYMBOLIC_AXES = 64


@dataclass(frozen=True, slots=True)
class Call:
    """A node whose inputs are all proved.

    Attributes:
        operator: its name.
        version: the version of its operator set.
        attributes: as onnx's own helper reads them; strings are bytes.
        inputs: None for one that is left out.
        outputs: the number of its outputs.
        symbols: those of this proof.
    """

    operator: str
    version: int
    attributes: Mapping[str, Any]
    inputs: Sequence[Tensor | None]
    outputs: int
    symbols: Symbols

    def has(self, index: int) -> bool:
        return index < len(self.inputs) and self.inputs[index] is not None

    def raw(self, index: int) -> Tensor:
        """An input of which only the shape or lengths are used."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        if tensor is None:
            raise NotProved("lacks an input")
        return tensor

    def data(self, index: int = 0) -> Tensor:
        """An input whose elements are computed with."""
        tensor = self.raw(index)
        if tensor.counts_rows:
            raise Mixes("computes with the number of rows")
        return tensor

    def all_data(self) -> list[Tensor]:
        return [self.data(index) for index in range(len(self.inputs)) if self.has(index)]

    def rows(self, index: int = 0) -> tuple[Tensor, RowLayout]:
        """An input that has rows, and its layout."""
        tensor = self.data(index)
        if tensor.layout is None:
            raise NotProved("lacks rows where others have them")
        return tensor, tensor.layout

    def shared(self, *indices: int) -> None:
        """Require that these inputs, if present, are the same for all rows."""
        for index in indices:
            if self.has(index) and self.data(index).layout is not None:
                raise Mixes("uses for all rows what was computed from single ones")

    def single(self, *indices: int) -> None:
        """Require that these inputs, if present, are a single element."""
        self.shared(*indices)
        for index in indices:
            if self.has(index) and any(size != ONE for size in self.data(index).dims):
                raise NotProved("has an input that is not known to be a single element")

    def integer(self, name: str, default: int) -> int:
        return int(self.attributes.get(name, default))

    def text(self, name: str, default: str) -> str:
        value = self.attributes.get(name, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    def axis(self, name: str, default: int, rank: int) -> int:
        return normalized(self.integer(name, default), rank)

    def lengths(self, index: int, *, of_rows: bool = False) -> list[Size] | None:
        """The elements of a small input of lengths or indices; unknown ones are atoms.

        None if not even their number is known.

        Args:
            index: the index of the input.
            of_rows: the rule knows what to do with lengths that count the rows.
        """
        tensor = self.raw(index)
        if tensor.layout is not None:
            raise Mixes("is shaped by the values of single rows")
        if tensor.counts_rows and not of_rows:
            raise Mixes("is shaped by the number of rows")
        if tensor.values is not None:
            return sizes_of(tensor.values)
        if tensor.shape is None or len(tensor.shape) > 1:
            return None
        count = tensor.shape[0].number if tensor.shape else 1
        if count is None or count > MOST_SYMBOLIC_AXES:
            return None
        return [self.symbols.fresh(least=None) for _ in range(count)]

    def numbers(self, index: int) -> list[int]:
        """The elements of an input, all of which must be known numbers."""
        lengths = self.lengths(index)
        numbers = [size.number for size in lengths or ()]
        if lengths is None or None in numbers:
            raise NotProved("takes axes or lengths that are not known")
        return [number for number in numbers if number is not None]

    def axes(self, index: int | None, rank: int) -> list[int] | None:
        """The attribute `axes`, or the input that replaced it; None if there is neither."""
        given: Sequence[int] | None = self.attributes.get("axes")
        if given is None and index is not None and self.has(index):
            given = self.numbers(index)
        return None if given is None else [normalized(int(axis), rank) for axis in given]


Rule = Callable[[Call], Sequence[Value]]


def normalized(axis: int, rank: int) -> int:
    """The axes counted from the front."""
    if not -rank <= axis < rank:
        raise NotProved("names an axis that does not exist")
    return axis % rank


def sizes_of(values: Any) -> list[Size]:
    if values.dtype == object:
        return list(values.flat)
    if values.dtype.kind not in "iub":
        raise NotProved("takes lengths that are not integers")
    return [Size.of(int(number)) for number in np.ravel(values)]


class Rules:
    """Rules by operator."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str, str], Rule] = {}

    def of(self, *operators: str, domain: str = "") -> Callable[[Rule], Rule]:
        def register(rule: Rule) -> Rule:
            self._rules.update(dict.fromkeys(((domain, name) for name in operators), rule))
            return rule

        return register

    def find(self, domain: str, operator: str) -> Rule | None:
        return self._rules.get((domain, operator))


RULES = Rules()
