"""The way out: rows become answers, failures become exceptions."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

from trtasync.core.exceptions import own_error, unanswered
from trtasync.core.metrics import BOUNDS, Meter
from trtasync.core.records import BatchRecord, record_of
from trtasync.core.reservations import Reservation, reservation_of
from trtasync.errors import InferenceError, QueueFull, TrtasyncError, UnevenRows
from trtasync.model.arrays import Array
from trtasync.requests.answers import LentAnswer, as_it_is, borrow, join, shape_answer, take
from trtasync.runtimes import Slot, Times
from trtasync.scheduler import Batch, Chunk, Request
from trtasync.scheduler.requests import Entry
from trtasync.scheduler.states import QUEUED, RESERVED

SHARED_ROW_BYTES = 1024
"""Rows up to this size are handed out as views of one copy of the batch's output: a row kept for
long keeps max_batch_size such rows alive at most. Larger rows are copied one by one."""

LARGE_ANSWER_BYTES = 1 << 20
"""An answer of at least this size that is a whole output is not copied. Smaller ones are: an array
in a runtime's own memory keeps the runtime's arena alive, which may be hundreds of megabytes."""

_arrival: Callable[[Entry], float] = attrgetter("arrival")


class Completion:
    """Hands out the results of batches, and counts them.

    Attributes:
        meter: the running counts.
        watcher: is called with every batch that succeeds; None for nobody.
    """

    def __init__(
        self,
        names: Sequence[str],
        lent: bool,
        done_error: type[Exception],
        withdraw: Callable[[Request], None],
        can_lend: Callable[[Slot], bool],
        returned: Callable[[Slot], None],
    ):
        """Count from zero.

        Args:
            names: of the outputs.
            lent: outputs are the slot's memory, which the next batch overwrites.
            done_error: what a reply that is already done may raise.
            withdraw: takes the rest of a failed request out of the queue.
            can_lend: whether a slot can be spared while its answers are borrowed.
            returned: called with a slot, from any thread, once its last lent answer is back.
        """
        self.meter: Meter = Meter()
        self.watcher: Callable[[BatchRecord], None] | None = None
        self._names = names
        self._one_output = len(names) == 1
        self._lent = lent
        self._done_error = done_error
        self._withdraw = withdraw
        self._can_lend = can_lend
        self._returned = returned

    def answer(self, batch: Batch[Slot]) -> int:
        """Answer every request of a batch that succeeded; return how many answers are only lent."""
        outputs = batch.slot.outputs
        if batch.plain and self._one_output:
            rows = plain_rows(outputs[0], batch.size, self._lent)
            missed, done_error = 0, self._done_error
            for each, row in zip(cast(list[Reservation], batch.entries), rows, strict=True):
                try:
                    each.reply.set_result(row)
                except done_error:  # cancelled meanwhile; asking first costs every request
                    missed += 1
            self.meter.answered += len(rows) - missed
            return 0
        return self._answer_each(batch, outputs)

    def _answer_each(self, batch: Batch[Slot], outputs: list[Array]) -> int:
        lent: list[Reservation] = []
        copied: list[Entry] = []
        for entry in batch.entries:
            if entry.state is QUEUED:
                if isinstance(entry, Reservation) and entry.lend and not entry.reply.done():
                    lent.append(entry)
                else:
                    copied.append(entry)
        if lent and self._lent and not self._can_lend(batch.slot):
            copied, lent = [*copied, *lent], []
        for entry in copied:
            try:
                self._answer_entry(entry, take(outputs, entry.row, entry.rows))
            except Exception as error:  # concerns this answer only, such as a lack of memory
                self.fail(reservation_of(entry), unanswered(error))
        if lent:
            self._lend(batch, outputs, lent)
        return len(lent) if self._lent else 0

    def _lend(self, batch: Batch[Slot], outputs: list[Array], lent: Sequence[Reservation]) -> None:
        """Hand out views, which must come back only if the outputs are the slot's memory."""
        if self._lent:
            batch.slot.lend(len(lent), self._returned)
        give_back = batch.slot.take_back if self._lent else _nothing
        for each in lent:
            views = borrow(outputs, each.row, each.rows)
            try:
                answer = shape_answer(each.signature, self._names, views, lent=True)
            except Exception as error:  # concerns this answer only, such as a lack of memory
                give_back()
                self.fail(each, unanswered(error))
                continue
            each.lent = LentAnswer(answer, give_back)
            self._tell(each, each.lent)

    def count(
        self, batch: Batch[Slot], times: Times | None, ended: float, delivered: float
    ) -> None:
        """Count a batch that succeeded.

        Args:
            batch: the batch.
            times: seconds that its stages took; None if they were not measured.
            ended: when its end was seen.
            delivered: when its answers were handed out.
        """
        meter, entries, started = self.meter, batch.entries, batch.started
        meter.batch_sizes[batch.size] += 1
        meter.padded_rows += batch.run_rows - batch.size
        counted = [(meter.deliver, delivered - ended, 1)]
        first = entries[0].arrival
        arrivals: Mapping[float, int] = {first: len(entries)}
        if entries[-1].arrival != first:  # they came in several turns of the loop
            arrivals = Counter(map(_arrival, entries))
        for arrival, often in arrivals.items():
            counted.append((meter.latency, ended - arrival, often))
            counted.append((meter.queue, started - arrival, often))
        if times is not None:
            copy_in, compute, copy_out = times
            counted.append((meter.compute, compute, 1))
            if copy_in or copy_out:
                counted += (meter.copy_in, copy_in, 1), (meter.copy_out, copy_out, 1)
        for histogram, seconds, often in counted:  # TimeHistogram.add, written out
            histogram.counts[bisect_left(BOUNDS, seconds)] += often
            histogram.total += seconds * often
        if self.watcher is not None:
            self.watcher(record_of(batch, times, ended, delivered))

    def answer_pieces(self, batch: Batch[Slot], pieces: Sequence[list[Array] | Exception]) -> None:
        """Answer or fail every request of a batch that was run again in halves."""
        for entry, piece in zip(batch.entries, pieces, strict=True):
            if isinstance(piece, Exception):
                self._end(entry, piece)
            elif entry.state is QUEUED:
                try:
                    self._answer_entry(entry, piece)
                except Exception as error:  # concerns this answer only
                    self.fail(reservation_of(entry), unanswered(error))

    def _answer_entry(self, entry: Entry, outputs: list[Array]) -> None:
        reservation = reservation_of(entry)
        if isinstance(entry, Chunk):
            whole = _collect(reservation, entry.offset, outputs)
            if whole is None:
                return
            outputs = whole
            reservation.chunks = None  # they point back: a cycle would wait for the collector
        if reservation.reply.done():
            return
        if reservation.on_device is not None:
            outputs = list(reservation.on_device)
        self._tell_copied(reservation, shape_answer(reservation.signature, self._names, outputs))

    def _tell_copied(self, reservation: Reservation, answer: Any) -> None:
        self._tell(reservation, LentAnswer(answer, _nothing) if reservation.lend else answer)

    def _tell(self, reservation: Reservation, answer: Any) -> None:
        self.meter.answered += 1
        reservation.reply.set_result(answer)

    def fail_batch(self, batch: Batch[Slot], error: Exception) -> None:
        """Fail every request of a batch."""
        for entry in batch.entries:
            self._end(entry, error)

    def _end(self, entry: Entry, error: Exception) -> None:
        """Fail an entry whose run failed. If only the rows could not be told apart, a request that
        ran alone, whole and unpadded, gets the outputs as they are."""
        reservation = reservation_of(entry)
        if not isinstance(error, UnevenRows):
            self.fail(reservation, error)
        elif error.outputs is not None and _is_whole(entry, reservation, error):
            if not reservation.reply.done():
                outputs = [output.copy() for output in cast(list[Array], error.outputs)]
                self._tell_copied(
                    reservation, as_it_is(reservation.signature, self._names, outputs)
                )
        else:
            self.fail(reservation, InferenceError(str(error)))

    def fail(self, reservation: Reservation, cause: BaseException) -> None:
        """Fail one request, with an exception of its own."""
        if reservation.reply.done():
            return
        self.meter.failed += 1
        self._end_unanswered(reservation, own_error(cause))

    def displace(self, request: Request, error: QueueFull) -> None:
        """Tell a request that a more urgent one took its place."""
        reservation = cast(Reservation, request)
        if reservation.state is RESERVED:
            self.meter.displaced += 1
            reservation.refused = error
        elif not reservation.reply.done():
            self.meter.displaced += 1
            self._end_unanswered(reservation, error)

    def _end_unanswered(self, reservation: Reservation, error: TrtasyncError) -> None:
        reservation.reply.set_exception(error)
        self._withdraw(reservation)
        reservation.chunks = None


def is_unwanted(batch: Batch[Slot]) -> bool:
    """Whether all callers of a batch have gone."""
    return len(not_to_run(batch)) == len(batch.entries)


def not_to_run(batch: Batch[Slot]) -> list[Entry]:
    """Return the entries that nobody waits for, or whose content is not complete."""
    if batch.plain:  # no chunks
        return [each for each in cast(list[Reservation], batch.entries) if each.reply.done()]
    return [entry for entry in batch.entries if reservation_of(entry).reply.done()]


def _collect(reservation: Reservation, offset: int, outputs: list[Array]) -> list[Array] | None:
    """Keep the outputs of a chunk; return those of all chunks, joined, once the last is here."""
    if reservation.pieces is None:
        reservation.pieces = {}
    reservation.pieces[offset] = outputs
    if sum(len(piece[0]) for piece in reservation.pieces.values()) < reservation.rows:
        return None
    return join([piece for _, piece in sorted(reservation.pieces.items())])


def plain_rows(output: Array, rows: int, lent: bool) -> list[Array]:
    """Return the first `rows` rows of an output as arrays of their own.

    Args:
        output: rows first.
        rows: how many are wanted.
        lent: the next batch overwrites the output's memory.
    """
    if output.ndim == 1:
        return [output[row : row + 1].copy().reshape(()) for row in range(rows)]
    if (
        len(output) == 1
        and not lent
        and (output.base is None or output.nbytes >= LARGE_ANSWER_BYTES)
    ):
        return [output[0]]
    if output.nbytes <= SHARED_ROW_BYTES * len(output):
        return list(output[:rows].copy())
    return [output[row].copy() for row in range(rows)]


def _is_whole(entry: Entry, reservation: Reservation, error: UnevenRows) -> bool:
    """Whether the outputs belong to one request that takes them without cutting or placing."""
    signature = reservation.signature
    untouched = not signature.bare and not signature.cuts and reservation.on_device is None
    return untouched and error.rows == reservation.rows and entry is reservation


def _nothing() -> None:
    """Return nothing: the answer's memory is its own."""
