"""Rows that bodies are received into.

They are counted: bodies that are not complete may hold only so much of an engine, however many
clients are slow or stop half-way, and the rest is for requests that are complete.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from trtasync.core.reservations import Reservation
from trtasync.model.arrays import Array
from trtasync.server.fast.replies import Asked


class Held:
    """What bodies that are not complete hold of an engine, in rows or in bytes.

    Attributes:
        amount: of all of them.
    """

    amount: int = 0


class HeldPlace(ABC):
    """A `Place` that is counted for as long as nobody has committed or dropped it."""

    def __init__(self, held: Held, amount: int):
        """`amount`: of this one."""
        held.amount += amount
        self._held = held
        self._amount = amount

    @abstractmethod
    def rows_to_write(self) -> Sequence[Array]:
        """See `Place`."""

    def commit(self, request: Asked, /) -> None:
        """See `Place`."""
        self._held.amount -= self._amount
        self._commit(request)

    def drop(self) -> None:
        """See `Place`."""
        self._held.amount -= self._amount
        self._drop()

    @abstractmethod
    def _commit(self, request: Asked) -> None: ...

    @abstractmethod
    def _drop(self) -> None: ...


class ReservedPlace(HeldPlace):
    """Rows of a batch."""

    def __init__(self, held: Held, rows: int, reservation: Reservation):
        """`rows`: of the reservation."""
        super().__init__(held, rows)
        self._reservation = reservation

    def rows_to_write(self) -> Sequence[Array]:
        """See `Place`."""
        return self._reservation.rows_to_write()

    def _commit(self, request: Asked) -> None:
        self._reservation.commit(request)
        if not request.done():
            request.reservation = self._reservation

    def _drop(self) -> None:
        self._reservation.drop()


class ArrayPlace(HeldPlace):
    """An array of the engine's own choice."""

    def __init__(self, held: Held, array: Array, start: Callable[[Asked, Array], None]):
        """`start`: asks the engine with it."""
        super().__init__(held, array.nbytes)
        self._array = array
        self._start = start

    def rows_to_write(self) -> Sequence[Array]:
        """See `Place`."""
        return (self._array,)

    def _commit(self, request: Asked) -> None:
        self._start(request, self._array)

    def _drop(self) -> None: ...
