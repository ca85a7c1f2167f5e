"""What is known about a tensor while a proof follows the rows through a graph."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trtasync.rows.proof.sizes import ONE, Size, Symbols, product

Shape = tuple[Size, ...]
Values = npt.NDArray[Any]
"""Known elements: of numpy's numbers, or `Size` objects where one of them is not a number."""


class NotProved(Exception):
    """Why an operator's outputs cannot be proved: a clause whose subject is the operator."""


class Mixes(NotProved):
    """The same, but known: rows meet, or their number or places matter. Not just a missing rule."""


class Inherited(NotProved):
    """The same, already reported for an earlier operator.

    Attributes:
        mixes: see `Coupled`.
    """

    def __init__(self, value: "Coupled"):
        super().__init__(value.why)
        self.mixes: bool = value.mixes


class Refuses(Exception):
    """Every runtime refuses the operator's inputs because of their ranks."""


@dataclass(frozen=True, slots=True)
class RowLayout:
    """Where rows lie. Along `axis` an element has the index (o * rows + row) * inner + i.

    So an axis that Reshape has merged with its neighbours is followed until they are split again.

    Attributes:
        axis: that axis.
        outer: how often the sequence of all rows repeats along it.
        inner: how many elements of one row are adjacent in it.
    """

    axis: int
    outer: Size = ONE
    inner: Size = ONE

    def at(self, axis: int) -> "RowLayout":
        return RowLayout(axis, self.outer, self.inner)

    @property
    def plain(self) -> bool:
        return self.outer == ONE and self.inner == ONE


@dataclass(frozen=True, slots=True)
class Places:
    """How the elements of a tensor depend on the place of their row in the batch.

    Attributes:
        numbers: each element is the number of its row.
        at: the indices along the last axis at which elements are; the others are plain data.
    """

    numbers: bool = False
    at: frozenset[int] = frozenset()


ROW_NUMBERS: Final = Places(numbers=True)
SOMEHOW: Final = Places()


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor whose rows, if it has any, depend on the same row of the inputs only.

    Attributes:
        shape: None if not even the rank is known, which only tensors without rows may have.
        layout: None if the tensor is the same for every batch: it depends on shared inputs only.
        values: its elements, if known; those that count the rows are lengths, and no operator
            may use them as data.
        places: set if its elements also depend on where their row lies in the batch.
    """

    shape: Shape | None
    layout: RowLayout | None = None
    values: Values | None = None
    places: Places | None = None

    def __post_init__(self) -> None:
        if self.shape is None:
            if self.layout is not None:
                raise NotProved("makes a tensor of unknown rank that has rows")
            return
        for axis, size in enumerate(self.shape):
            if size.rows and (self.layout is None or axis != self.layout.axis):
                raise NotProved("makes a tensor whose other lengths depend on the number of rows")

    @property
    def rank(self) -> int:
        return len(self.dims)

    def reshaped(self, shape: Shape, axis: int | None = None) -> "Tensor":
        """The tensor in another shape, with rows along `axis` (if None, where they were)."""
        layout = self.layout
        return Tensor(shape, layout if layout is None or axis is None else layout.at(axis))

    def like(self) -> "Tensor":
        """A tensor with the same rows and shape but other elements."""
        return Tensor(self.shape, self.layout)

    @property
    def dims(self) -> Shape:
        if self.shape is None:
            raise NotProved("is given a tensor of unknown rank")
        return self.shape

    @property
    def counts_rows(self) -> bool:
        """Whether any of its elements changes with the number of rows."""
        return (
            self.values is not None
            and self.values.dtype == object
            and any(size.rows for size in self.values.flat)
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Tensor)
            and self.shape == other.shape
            and self.layout == other.layout
            and self.places == other.places
            and same_values(self.values, other.values)
        )


@dataclass(frozen=True, slots=True)
class Coupled:
    """A tensor about which nothing is proved.

    Attributes:
        why: a clause that names the obstacle.
        mixes: rows are known to meet there or to be counted; if False, it is merely not known that
            they are not.
    """

    why: str = field(compare=False)
    mixes: bool = field(compare=False, default=False)


@dataclass(frozen=True, slots=True)
class NeverComputed:
    """A tensor that no run computes: the operator that makes it refuses its inputs."""


Value = Tensor | Coupled | NeverComputed


def same_values(one: Values | None, other: Values | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and one.shape == other.shape and bool(np.all(one == other))


def shape_of(values: Values) -> Shape:
    return tuple(map(Size.of, values.shape))


def constant(values: Values) -> Tensor:
    return Tensor(shape_of(values), values=values)


def common_layout(tensors: Iterable[Tensor]) -> RowLayout | None:
    """The layout of tensors whose axes correspond one to one."""
    layouts = {tensor.layout for tensor in tensors if tensor.layout is not None}
    if len(layouts) > 1:
        raise Mixes("joins tensors whose rows lie along different axes")
    return layouts.pop() if layouts else None


def broadcast(tensors: Sequence[Tensor], symbols: Symbols) -> Tensor:
    """Broadcast by numpy's rules. Along the rows, anything else must have length 1."""
    if any(tensor.shape is None for tensor in tensors):
        if any(tensor.layout for tensor in tensors):
            raise NotProved("joins rows with a tensor of unknown rank")
        return Tensor(None)
    rank = max(tensor.rank for tensor in tensors)
    padded = [_padded(tensor, rank) for tensor in tensors]
    layout = common_layout(padded)
    shape = []
    for axis in range(rank):
        sizes = [tensor.dims[axis] for tensor in padded]
        if layout is not None and axis == layout.axis:
            with_rows = next(tensor.dims[axis] for tensor in padded if tensor.layout is not None)
            if any(t.layout is None and t.dims[axis] != ONE for t in padded):
                raise Mixes("joins rows with a tensor that has other elements along them")
            shape.append(with_rows)
        else:
            shape.append(_broadcast_size(sizes, symbols))
    return Tensor(tuple(shape), layout)


def _padded(tensor: Tensor, rank: int) -> Tensor:
    more = rank - tensor.rank
    layout = tensor.layout and tensor.layout.at(tensor.layout.axis + more)
    return Tensor((ONE,) * more + tensor.dims, layout)


def _broadcast_size(sizes: Sequence[Size], symbols: Symbols) -> Size:
    different = [size for size in dict.fromkeys(sizes) if size != ONE]
    if len(different) <= 1:
        return different[0] if different else ONE
    numbers = [size for size in different if size.number is not None]
    if numbers:  # the others are equal to it, or 1
        return numbers[0]
    return symbols.result("broadcast", *different, least=0)


def reshaped(tensor: Tensor, target: Sequence[Size | None], symbols: Symbols) -> Tensor:
    """Reshape `tensor`, keeping the order of its elements.

    Args:
        tensor: a tensor of known rank.
        target: the new lengths; None for the one that follows from the others.
        symbols: of this proof.
    """
    total = product(tensor.dims)
    others = product(size for size in target if size is not None)
    inferred = None
    if None in target:
        # Without a quotient the length is known only at run time. It changes with the rows, unless
        # those are found in another axis.
        inferred = total.divided_by(others)
    if tensor.layout is None:
        unknown = inferred if inferred is not None else symbols.result("inferred", total, others)
        return Tensor(tuple(unknown if size is None else size for size in target))
    sizes = [inferred if size is None else size for size in target]
    layout = _found_again(tensor.dims, tensor.layout, sizes, symbols.rows)
    if layout is None:
        raise NotProved("gives rows a shape in which they cannot be found again")
    if None not in sizes:
        end = layout.axis + 1
        unmoved = layout == tensor.layout and tuple(sizes[:end]) == tensor.dims[:end]
        _check_fit(total, product(size for size in sizes if size is not None), unmoved)
    shape = tuple(symbols.fresh() if size is None else size for size in sizes)
    return Tensor(shape, layout)


def _check_fit(total: Size, asked: Size, unmoved: bool) -> None:
    """Refuse a shape that may hold a different number of elements.

    A runtime would refuse it too, but optimizers have been seen to change the shape. If the numbers
    cannot be compared, rows that stay in place are assumed to be what was meant.
    """
    apart = total.divided_by(asked) is not None or asked.divided_by(total) is not None
    if total != asked and (apart or not unmoved):
        raise NotProved("gives rows a shape that is not known to fit all elements")


def _found_again(
    shape: Shape, layout: RowLayout, target: Sequence[Size | None], rows: Size
) -> RowLayout | None:
    """The layout of rows after a reshape: the axis that splits the flat order between rows."""
    before = product(shape[: layout.axis]) * layout.outer
    after = product(shape[layout.axis + 1 :]) * layout.inner
    for axis, size in enumerate(target):
        if size is None:
            continue
        # One side is enough: the total is the same, so the other side must fit as well.
        outer = _quotient(before, target[:axis])
        if outer is not None and (inner := size.divided_by(outer * rows)) is not None:
            return RowLayout(axis, outer, inner)
        inner = _quotient(after, target[axis + 1 :])
        if inner is not None and (outer := size.divided_by(inner * rows)) is not None:
            return RowLayout(axis, outer, inner)
    return None


def _quotient(total: Size, sizes: Sequence[Size | None]) -> Size | None:
    known = [size for size in sizes if size is not None]
    return total.divided_by(product(known)) if len(known) == len(sizes) else None
