"""Lengths as polynomials with integer coefficients, in the number of rows and other free lengths.

A proof for one or two sizes would hold for these sizes only. Unknown lengths are therefore never
represented by sample numbers: they are sums of products of atoms, equal only if they are equal for
every batch, and what cannot be written that way (a quotient with a remainder, say) is an atom of
its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

MOST_TERMS: Final = 24
MOST_FACTORS: Final = 12
LARGEST: Final = 2**63


class TooLarge(ValueError):
    """A length that no sensible model has."""


class Atom:
    """An unknown integer.

    Attributes:
        number: its serial number; atoms made later have larger ones.
        rows: whether it may change with the number of rows.
        least: a lower bound; None if it may be negative.
        exact: arithmetic with it is integer arithmetic; False if it was a float along the way.
    """

    __slots__ = ("exact", "least", "number", "rows")

    number: int
    rows: bool
    least: int | None
    exact: bool

    def __init__(self, number: int, rows: bool, least: int | None, exact: bool) -> None:
        self.number, self.rows, self.least, self.exact = number, rows, least, exact


Factors = tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """A polynomial: products of atoms, in the order of their numbers, with their coefficients."""

    terms: tuple[tuple[Factors, int], ...]

    @classmethod
    def of(cls, number: int) -> "Size":
        return cls._from({(): int(number)})

    @classmethod
    def _from(cls, terms: dict[Factors, int]) -> "Size":
        kept = {factors: number for factors, number in terms.items() if number}
        if (
            len(kept) > MOST_TERMS
            or any(len(factors) > MOST_FACTORS for factors in kept)
            or any(abs(number) > LARGEST for number in kept.values())
        ):
            raise TooLarge("a length is too large to be followed")
        return cls(tuple(sorted(kept.items(), key=_order)))

    def __add__(self, other: "Size") -> "Size":
        total = dict(self.terms)
        for factors, number in other.terms:
            total[factors] = total.get(factors, 0) + number
        return Size._from(total)

    def __neg__(self) -> "Size":
        return Size(tuple((factors, -number) for factors, number in self.terms))

    def __sub__(self, other: "Size") -> "Size":
        return self + -other

    def __mul__(self, other: "Size") -> "Size":
        total: dict[Factors, int] = {}
        for mine, number in self.terms:
            for theirs, times in other.terms:
                factors = tuple(sorted((*mine, *theirs), key=lambda atom: atom.number))
                total[factors] = total.get(factors, 0) + number * times
        return Size._from(total)

    def divided_by(self, other: "Size") -> "Size | None":
        """The quotient, if there is one without a remainder whatever the atoms are."""
        if self == other and self.terms:
            return Size.of(1)
        if len(other.terms) != 1:
            return None
        [(divisor, by)] = other.terms
        quotient: dict[Factors, int] = {}
        for factors, number in self.terms:
            left = list(factors)
            for atom in divisor:
                if atom not in left:
                    return None
                left.remove(atom)
            if number % by:
                return None
            quotient[tuple(left)] = number // by
        return Size._from(quotient)

    @property
    def number(self) -> int | None:
        """Its value, if it is constant."""
        if not self.terms:
            return 0
        [(factors, number), *more] = self.terms
        return None if factors or more else number

    @property
    def atoms(self) -> Iterable[Atom]:
        return (atom for factors, _ in self.terms for atom in factors)

    @property
    def rows(self) -> bool:
        """Whether it may change with the number of rows."""
        return any(atom.rows for atom in self.atoms)

    @property
    def exact(self) -> bool:
        return all(atom.exact for atom in self.atoms)

    @property
    def least(self) -> int | None:
        """A lower bound; None if nothing is known."""
        total = 0
        for factors, number in self.terms:
            product = 1
            for atom in factors:
                if atom.least is None or atom.least < 0:
                    return None
                product *= atom.least
            if number < 0 and factors:
                return None
            total += number * product
        return total


def product(sizes: Iterable[Size]) -> Size:
    total = ONE
    for size in sizes:
        total *= size
    return total


def _order(term: tuple[Factors, int]) -> tuple[int, ...]:
    return tuple(atom.number for atom in term[0])


ZERO: Final = Size.of(0)
ONE: Final = Size.of(1)


class Symbols:
    """Makes the atoms of one proof. The same operation on the same sizes gives the same atom.

    Attributes:
        rows: the number of rows, at least one.
    """

    def __init__(self) -> None:
        self._made = 0
        self._known: dict[tuple[Any, ...], Size] = {}
        self.rows: Size = self.fresh(rows=True, least=1)

    @property
    def made(self) -> int:
        """The number of atoms so far; those made from now on have at least this serial number."""
        return self._made

    def fresh(self, *, rows: bool = False, least: int | None = 0, exact: bool = True) -> Size:
        """Make an atom that is equal to no other."""
        atom = Atom(self._made, rows, least, exact)
        self._made += 1
        return Size((((atom,), 1),))

    def result(
        self, operation: str, *of: Size, least: int | None = None, exact: bool = True
    ) -> Size:
        """The result of an operation without a polynomial: equal only to itself."""
        key = (operation, exact, *of)
        if key not in self._known:
            rows = any(size.rows for size in of)
            self._known[key] = self.fresh(rows=rows, least=least, exact=exact)
        return self._known[key]

    def quotient(self, size: Size, by: int) -> Size:
        """The quotient of integers, rounded down; `size` is assumed to be a length."""
        exact = size.divided_by(Size.of(by)) if by else None
        if exact is not None:
            return exact
        number = size.number
        if number is not None and by:
            return Size.of(number // by)
        return self.result("quotient", size, Size.of(by), least=0)
