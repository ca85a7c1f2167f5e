"""Where a body goes that did not come whole together with its head."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from trtasync.model.arrays import Array
from trtasync.server.fast.chunks import Chunks
from trtasync.server.fast.heads import Head
from trtasync.server.fast.replies import Asked
from trtasync.server.protocol.tensors import Bytes

Scratch = memoryview
Body = memoryview
Deliver = Callable[[Head, Body], None]


class Sink(Protocol):
    """Takes the bytes of a body as they come.

    Attributes:
        head: of the request.
        rest: the bytes that came after the body, once it is complete.
    """

    head: Head
    rest: bytes

    def room(self) -> memoryview:
        """The memory for the next bytes; ask again each time."""

    def took(self, count: int) -> bool:
        """Note that `count` bytes were written there; True if the body is complete."""

    def finish(self) -> None:
        """Deliver the complete body."""


class Place(Protocol):
    """Rows that are written before their request is complete; see `core.reservations`."""

    def rows_to_write(self) -> Sequence[Array]:
        """One array, valid until control returns to the event loop; ask again after that."""

    def commit(self, request: Asked, /) -> None:
        """Submit the request, whose rows are written. Raises why the engine refuses it."""

    def drop(self) -> None:
        """Give the rows up."""


class Memory:
    """A body in memory of its own. See `Sink`."""

    rest = b""

    def __init__(self, head: Head, length: int, taken: Bytes, deliver: Deliver):
        """For `length` bytes, which begin with `taken`. Memory is touched only as it is filled."""
        self.head: Head = head
        self._body = np.empty(length, np.uint8).data
        self._taken = 0
        self._deliver = deliver
        self.take(taken)

    def take(self, content: Bytes) -> None:
        """Append content that was received elsewhere."""
        self._body[self._taken : self._taken + len(content)] = content
        self._taken += len(content)

    def room(self) -> memoryview:
        return self._body[self._taken :]

    def took(self, count: int) -> bool:
        self._taken += count
        return self._taken == len(self._body)

    def finish(self) -> None:
        self._deliver(self.head, self._body)


class Row:
    """A tensor that is received into rows of a batch. See `Sink`.

    A batch launched meanwhile leaves it out. Its rows count as waiting, so a slow client has to
    leave them: `step_out`.
    """

    rest = b""

    def __init__(
        self,
        request: Asked,
        place: Place,
        json: bytes,
        taken: Bytes,
        deliver: Callable[[Asked, Place], None],
    ):
        """For the tensor behind `json`, which begins with `taken`, in the rows of `place`."""
        self.head: Head = request.head
        self._request = request
        self._place = place
        self._json = json
        self._taken = 0
        self._deliver = deliver
        if taken:
            self._rows()[: len(taken)] = taken
            self._taken = len(taken)

    def _rows(self) -> memoryview:
        (rows,) = self._place.rows_to_write()
        return rows.reshape(-1).view(np.uint8).data

    def room(self) -> memoryview:
        return self._rows()[self._taken :]

    def took(self, count: int) -> bool:
        self._taken += count
        return self._taken == self._request.plan.size

    def finish(self) -> None:
        self._deliver(self._request, self._place)

    def step_out(self, deliver: Deliver) -> Memory:
        """Leave the rows; return a sink that goes on in memory of its own."""
        length = len(self._json) + self._request.plan.size
        memory = Memory(self.head, length, self._json, deliver)
        memory.take(self._rows()[: self._taken])
        self._place.drop()
        return memory

    def drop(self) -> None:
        """Give the rows up: the client has left."""
        self._place.drop()


class InChunks:
    """A body in chunks, whose length only its end tells. See `Sink`."""

    def __init__(
        self,
        head: Head,
        most: int,
        scratch: Scratch,
        deliver: Deliver,
        fall_behind: Callable[[], None],
    ):
        """Nothing of it has come yet.

        Args:
            head: of the request.
            most: bytes of the largest body accepted.
            scratch: where its bytes are received before they are put together.
            deliver: is called with the whole body.
            fall_behind: is called when more has come than is read in one go; `feed(b"")` later.
        """
        self.head: Head = head
        self.rest: bytes = b""
        self._chunks = Chunks(most)
        self._scratch = scratch
        self._deliver = deliver
        self._fall_behind = fall_behind

    def room(self) -> memoryview:
        return self._scratch

    def took(self, count: int) -> bool:
        return self.feed(bytes(self._scratch[:count]))

    def feed(self, data: bytes) -> bool:
        """`took`, for bytes that came elsewhere. Raises Refusal."""
        self.rest = self._chunks.feed(data)
        if self._chunks.is_behind:
            self._fall_behind()
        return self._chunks.is_complete

    def finish(self) -> None:
        self._deliver(self.head, memoryview(self._chunks.body))


class Discarded:
    """Discards the rest of a body whose request has failed. See `Sink`."""

    rest = b""

    def __init__(
        self,
        head: Head,
        missing: int,
        scratch: Scratch,
        error: Exception,
        fail: Callable[[Head, Exception], None],
    ):
        """`missing` bytes are still to come; then `fail` is called with the `error`."""
        self.head: Head = head
        self._error = error
        self._missing = missing
        self._scratch = scratch
        self._fail = fail

    def room(self) -> memoryview:
        return self._scratch[: self._missing]

    def took(self, count: int) -> bool:
        self._missing -= count
        return not self._missing

    def finish(self) -> None:
        self._fail(self.head, self._error)
