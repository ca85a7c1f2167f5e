"""A request on its way through the engine: what the policy sees of it, its arrays, its caller."""

from collections.abc import Sequence
from copy import copy
from typing import Any, cast

from trtasync.errors import DeviceLost, InferenceError, TrtasyncError
from trtasync.loops import Future
from trtasync.requests.answers import LentAnswer, join
from trtasync.requests.signature import Array, Signature
from trtasync.scheduler import Chunk, Request


class Reservation(Request):
    """A request on its way: a request with its arrays and its caller's future."""

    __slots__ = ("arrays", "future")

    signature: Signature
    pieces: dict[int, list[Array]] | None = None
    on_device: Sequence[Any] | None = None
    """Device arrays that the answer is written to, when it stays on the device."""
    lend: bool = False
    """The answer may be views of the slot's memory."""
    lent: LentAnswer[Any] | None = None
    """The answer, if it is such views."""

    def __init__(self, signature: Signature, arrays: Any, future: Future, arrival: float):
        # Only what every request needs: `Policy.submit` sets batch and row, urgent calls the rest.
        self.signature = signature
        self.arrays = arrays
        self.future = future
        self.arrival = arrival

    def rows_of(self, chunk: Any) -> Any:
        """The arrays of one part of a split request."""
        rows = slice(chunk.offset, chunk.offset + chunk.rows)
        if isinstance(self.arrays, tuple):
            return tuple(array[rows] for array in self.arrays)
        return self.arrays[rows]

    def collect(self, offset: int, outputs: list[Array]) -> list[Array] | None:
        """Keep the outputs of a part; all of them, joined, once the last one is here."""
        if self.pieces is None:
            self.pieces = {}
        self.pieces[offset] = outputs
        if sum(len(piece[0]) for piece in self.pieces.values()) < self.rows:
            return None
        return join([piece for _, piece in sorted(self.pieces.items())])


def reservation_of(entry: Any) -> Reservation:
    """The request that an entry of a batch is, or is a part of."""
    return cast(Reservation, entry.whole if type(entry) is Chunk else entry)


def own_error(cause: BaseException) -> TrtasyncError:
    """A new exception for one caller: one object shared by many would collect all tracebacks."""
    if not isinstance(cause, TrtasyncError):
        error: TrtasyncError = InferenceError(f"the model failed on this request: {cause}")
        error.__cause__ = cause
        return error
    try:
        error = copy(cause)
        error.__cause__ = cause.__cause__
    except TypeError:  # a backend's own class, whose args are not those it is made from
        kind = DeviceLost if isinstance(cause, DeviceLost) else InferenceError
        error = kind(cause, **vars(cause))
        error.__cause__ = cause
    return error
