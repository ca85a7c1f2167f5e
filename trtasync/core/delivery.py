"""The end of a batch, for its callers: rows become answers, failures become exceptions."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from trtasync.core.metrics import BatchRecord, Meter
from trtasync.core.reservations import own_error, reservation_of
from trtasync.errors import InferenceError, QueueFull, TrtasyncError, UnevenRows
from trtasync.requests.answers import LentAnswer, as_it_is, borrow, plain_rows, shape_answer, take
from trtasync.requests.signature import Array
from trtasync.runtimes import Times
from trtasync.scheduler import Batch


class Delivery:
    """Hands out what batches gave, and counts it.

    Attributes:
        meter: what was counted.
    """

    def __init__(
        self,
        names: Sequence[str],
        lent: bool,
        done_error: type[Exception],
        withdraw: Callable[[Any], None],
        can_lend: Callable[[Any], bool],
        home: Callable[[Any], None],
    ):
        """Count from zero.

        Args:
            names: of the outputs.
            lent: outputs are memory of the slot, which will be written again.
            done_error: what a future raises that is done already.
            withdraw: takes the rest of a failed request out of the queue.
            can_lend: a slot is to spare for as long as its answers are held.
            home: takes a slot of which the last lent answer came back. From any thread.
        """
        self.meter = Meter()
        self._names = names
        self._one_output = len(names) == 1
        self._lent = lent
        self._done_error = done_error
        self._withdraw = withdraw
        self._can_lend = can_lend
        self._home = home

    def answer(self, batch: Batch, outputs: list[Array]) -> int:
        """Answer everybody in a batch that went well; returns how many answers are only lent."""
        if batch.plain and self._one_output:
            rows = plain_rows(outputs[0], batch.size, self._lent)
            missed, done_error = 0, self._done_error
            for reservation, row in zip(batch.entries, rows, strict=True):
                try:
                    reservation.future.set_result(row)
                except done_error:  # cancelled meanwhile; asking first costs every request
                    missed += 1
            self.meter.answered += len(rows) - missed
            return 0
        lent: list[Any] = []
        copied: list[Any] = []
        for entry in batch.entries:
            if not entry.gone:
                lend = getattr(entry, "lend", False) and not entry.future.done()  # not parts
                (lent if lend else copied).append(entry)
        if lent and self._lent and not self._can_lend(batch.slot):
            copied, lent = copied + lent, []
        for entry in copied:
            try:
                self._answer_entry(entry, take(outputs, entry.row, entry.rows))
            except Exception as error:  # one answer's own, be it memory
                self.fail(reservation_of(entry), unanswered(error))
        if lent:
            self._lend(batch, outputs, lent)
        return len(lent) if self._lent else 0

    def _lend(self, batch: Batch, outputs: list[Array], lent: Sequence[Any]) -> None:
        """Hand out views; where the outputs are nobody's but the answers', nothing comes back."""
        if self._lent:
            batch.slot.lend(len(lent), self._home)
        give_back = batch.slot.take_back if self._lent else _nothing
        for reservation in lent:
            views = borrow(outputs, reservation.row, reservation.rows)
            try:
                answer = shape_answer(reservation.signature, self._names, views, lent=True)
            except Exception as error:  # one answer's own, be it memory
                give_back()
                self.fail(reservation, unanswered(error))
                continue
            self.meter.answered += 1
            reservation.lent = LentAnswer(answer, give_back)
            reservation.future.set_result(reservation.lent)

    def answer_pieces(self, batch: Batch, pieces: Sequence[list[Array] | Exception]) -> None:
        """Answer or fail everybody in a batch that was run again in halves."""
        for entry, piece in zip(batch.entries, pieces, strict=True):
            if isinstance(piece, Exception):
                self._end(entry, piece)
            elif not entry.gone:
                try:
                    self._answer_entry(entry, piece)
                except Exception as error:  # one answer's own
                    self.fail(reservation_of(entry), unanswered(error))

    def _answer_entry(self, entry: Any, outputs: list[Array]) -> None:
        reservation = reservation_of(entry)
        if entry is not reservation:
            whole = reservation.collect(entry.offset, outputs)
            if whole is None:
                return
            outputs = whole
            reservation.chunks = (
                None  # they point back at it: its memory would wait for the collector
            )
        if reservation.future.done():
            return
        if reservation.on_device is not None:
            outputs = list(reservation.on_device)
        answer = shape_answer(reservation.signature, self._names, outputs)
        self.meter.answered += 1
        reservation.future.set_result(LentAnswer(answer, _nothing) if reservation.lend else answer)

    def fail_batch(self, batch: Batch, error: Exception) -> None:
        """Fail everybody in a batch."""
        for entry in batch.entries:
            self._end(entry, error)

    def _end(self, entry: Any, error: Exception) -> None:
        """Fail who was run in vain; what ran by itself, whole and unpadded, needs no rows to be
        told apart, and gets what the model gave."""
        reservation = reservation_of(entry)
        if not isinstance(error, UnevenRows):
            self.fail(reservation, error)
        elif _is_whole(entry, reservation, error):
            outputs = [np.array(output) for output in cast(Any, error.outputs)]
            answer = as_it_is(reservation.signature, self._names, outputs)
            if not reservation.future.done():
                self.meter.answered += 1
                reservation.future.set_result(
                    LentAnswer(answer, _nothing) if reservation.lend else answer
                )
        else:
            self.fail(reservation, InferenceError(str(error)))

    def fail(self, reservation: Any, cause: BaseException) -> None:
        """Fail one request, with an exception of its own."""
        if reservation.future.done():
            return
        self.meter.failed += 1
        self._end_unanswered(reservation, own_error(cause))

    def displace(self, reservation: Any, error: QueueFull) -> None:
        """Tell a request that a more urgent one took its place."""
        if not reservation.future.done():
            self.meter.displaced += 1
            self._end_unanswered(reservation, error)

    def _end_unanswered(self, reservation: Any, error: TrtasyncError) -> None:
        reservation.future.set_exception(error)
        self._withdraw(reservation)
        reservation.chunks = None

    def count(self, batch: Batch, times: Times | None, now: float) -> None:
        """Count a batch that went well. `times`: None when it was not measured."""
        meter = self.meter
        meter.batch_sizes[batch.size] += 1
        meter.padded_rows += batch.run_rows - batch.size
        if times is not None:
            copy_in, compute, copy_out = times
            meter.compute.add(compute)
            if copy_in or copy_out:
                meter.copy_in.add(copy_in)
                meter.copy_out.add(copy_out)
        entries = batch.entries
        first, last = entries[0].arrival, entries[-1].arrival
        if first == last:
            meter.latency.add(now - first, len(entries))
            meter.queue.add(batch.started - first, len(entries))
        else:
            for entry in entries:
                meter.latency.add(now - entry.arrival)
                meter.queue.add(batch.started - entry.arrival)


def unanswered(error: Exception) -> TrtasyncError:
    """What a request fails with that was run, and of which no answer could be made."""
    if isinstance(error, TrtasyncError):
        return error
    failure = InferenceError(f"the answer could not be handed out: {error!r}")
    failure.__cause__ = error
    return failure


def _is_whole(entry: Any, reservation: Any, error: UnevenRows) -> bool:
    """These outputs are one request's, and nobody has to cut or place them."""
    known = error.outputs is not None and error.rows == reservation.rows and entry is reservation
    as_it_is = (
        not reservation.signature.bare
        and not reservation.signature.cuts
        and reservation.on_device is None
    )
    return known and as_it_is


def _nothing() -> None:
    """The answer's memory is its own."""


def record_of(batch: Batch, times: Times | None, ended: float, delivered: float) -> BatchRecord:
    """What a watcher is told of a batch that went well."""
    arrivals = tuple(entry.arrival for entry in batch.entries)
    return BatchRecord(
        batch.lane,
        id(batch.slot),
        batch.size,
        batch.run_rows,
        arrivals,
        batch.started,
        ended,
        delivered,
        times,
        batch.queue.layout.shapes,
    )
