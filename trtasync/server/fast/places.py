"""Rows that bodies are received into.

They are counted: incomplete bodies may hold only a part of an engine, however many clients are slow
or stop half-way; the rest is for complete requests.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from trtasync.core.reservations import Reservation
from trtasync.model.arrays import Array
from trtasync.server.fast.replies import Asked


class Held:
    """What incomplete bodies hold of an engine.

    Attributes:
        amount: rows, or bytes, that all of them hold together.
    """

    amount: int = 0


class HeldPlace(ABC):
    """A `Place` that is counted until it is committed or dropped."""

    def __init__(self, held: Held, amount: int):
        """`amount`: rows, or bytes, of this one."""
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
    """An array that the engine has allocated."""

    def __init__(self, held: Held, array: Array, start: Callable[[Asked, Array], None]):
        """`start`: submits a request with the array."""
        super().__init__(held, array.nbytes)
        self._array = array
        self._start = start

    def rows_to_write(self) -> Sequence[Array]:
        """See `Place`."""
        return (self._array,)

    def _commit(self, request: Asked) -> None:
        self._start(request, self._array)

    def _drop(self) -> None: ...
