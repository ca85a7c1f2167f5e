"""The engine: where requests, the batching core, slots, lanes and the event loop meet.

Every event (a request, a completion, the alarm, closing) ends in `Engine._pump`, which asks the
policy what to do and does it. There is no other way from a decision to an action.
"""

import logging
import math
import os
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import anyio
import numpy as np

from trtasync.answers import join, plain_rows, shape_answer, take
from trtasync.backends import Backend, OpenLane, Times
from trtasync.batching import Batch, Group, LaneState, Part, Policy, PolicyOptions, Ticket
from trtasync.batching.work import DEFAULT_LEVEL, LEVELS
from trtasync.errors import (
    DeviceLost,
    EngineClosed,
    InferenceError,
    InvalidInput,
    QueueFull,
    TrtasyncError,
    WrongLoop,
)
from trtasync.lanes import LaneThread, Outcome, failed, finish, run, run_in_halves
from trtasync.loops import EventLoop, Future, InvalidStateError, current_loop, in_thread
from trtasync.metrics import LaneStatistics, Meter, Statistics
from trtasync.requests import Array, Form, Layout, RequestReader, Shape
from trtasync.slots import WriteRow
from trtasync.tensors import Pad, TensorSpec

log = logging.getLogger("trtasync")

ndarray = np.ndarray


class Call(Ticket):
    """A request on its way: a ticket with its arrays and its caller's future."""

    __slots__ = ("arrays", "form", "future")

    pieces: dict[int, list[Array]] | None = None

    def __init__(
        self,
        form: Form,
        arrays: Any,
        future: Future,
        level: int,
        deadline: float,
        arrival: float,
    ):
        # Ticket.__init__ written out: one is made per request.
        self.group = form.group
        self.rows = form.rows
        self.level = level
        self.deadline = deadline
        self.arrival = arrival
        self.batch = None
        self.form = form
        self.arrays = arrays
        self.future = future

    def rows_of(self, part: Part) -> Any:
        """The arrays of one part of a split request."""
        rows = slice(part.offset, part.offset + part.rows)
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


class _Worker:
    """A lane with its thread and its counts."""

    __slots__ = ("batches", "lane", "on_loop", "thread")

    def __init__(self, lane: OpenLane, name: str, died: Callable[[BaseException], None]):
        self.lane = lane.lane
        self.thread = LaneThread(name, died)
        self.batches = 0
        self.on_loop = 0


class Engine:
    """A model that answers `await engine.infer(x)`. Made by `trtasync.open_engine`.

    An engine belongs to the event loop that opened it and is closed by the `async with` that did.
    """

    def __init__(
        self,
        backend: Backend,
        lanes: Sequence[OpenLane],
        options: PolicyOptions,
        padding: Mapping[str, Pad],
        loop_budget: float,
    ):
        """Not for users: `open_engine` checks the arguments and loads the model first."""
        self._backend = backend
        self._spec = backend.spec
        self._names = [spec.name for spec in backend.spec.outputs]
        self._one_output = len(self._names) == 1
        self._lent = backend.lends_outputs
        self._loop_budget = loop_budget
        # Runs that are shorter still may follow one another without a turn of the loop between.
        self._pass_budget = loop_budget / 4
        self._refusal: tuple[type[TrtasyncError], str] | None = None
        self._meter = Meter()
        self._reader = RequestReader(backend.spec, padding, self._new_group)
        self._array_forms = self._reader.arrays
        self._dtype = self._reader.dtype
        states = [
            LaneState(index, lane.lane.device, lane.lane.depth) for index, lane in enumerate(lanes)
        ]
        self._states = states
        self._workers = [
            _Worker(lane, f"trtasync lane {index}", partial(self._thread_died, index))
            for index, lane in enumerate(lanes)
        ]
        slots = [slot for lane in lanes for slot in lane.slots]
        self._policy = Policy(options, states, slots, self._abandoned)
        self._submit = self._policy.submit
        self._padded_rows = self._policy.run_rows
        self._notes: deque[tuple[Batch, Outcome]] = deque()
        self._deaths: deque[tuple[int, BaseException]] = deque()
        self._polled: list[tuple[Batch, float]] = []
        self._stamp = 0.0
        self._idle: Future | None = None
        self._closers: list[Future] | None = None
        self._is_closed = False
        self._broken = False
        self._loop: EventLoop = current_loop(self._pump)
        self._deadline = self._loop.deadline
        self._future = self._loop.future
        self._now = self._loop.now
        _engines.add(self)

    # -- what users call -------------------------------------------------------------------------

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The model's inputs, in order."""
        return self._spec.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The model's outputs, in order."""
        return self._spec.outputs

    async def infer(self, inputs: Any, *, priority: int = 0) -> Any:
        """Run the model on one request, in a batch with whatever else is waiting.

        The caller's effective deadline (`anyio.fail_after`, `anyio.move_on_after`) orders the queue:
        the earliest first within a priority; a request that cannot make it is not computed.

        Args:
            inputs: an array; a sequence of arrays in input order; or a mapping by input name.
                An array of the spec's rank brings rows (batch axis first), one of a rank less is
                one row. Not to be written to until the answer is here.
            priority: 1 (first) to 9 (last); 0 is the default, 5. A request that waits gains a
                level every 10 s.

        Returns:
            one array for a model of one output when one array was given, otherwise a dict by output
            name. Rows come back as rows, one row without batch axis without it. The arrays are the
            caller's own.

        Raises:
            InvalidInput: a name, dtype, rank or dimension is not what the model takes.
            QueueFull: `max_queue_size` rows are waiting.
            InferenceError: the model failed on this request.
            EngineClosed: the engine is closing or closed.
            DeviceLost: the lane died under this request.
            WrongLoop: called from another event loop, thread or process.
        """
        deadline = self._deadline()
        if self._refusal is not None:
            raise self._refusal[0](self._refusal[1])
        arrays = inputs
        if (
            type(inputs) is not ndarray
            or inputs.dtype is not self._dtype
            or (form := self._array_forms.get(inputs.shape)) is None
        ):
            form, arrays = self._reader.read(inputs)
        level = _level(priority) if priority else DEFAULT_LEVEL
        now = self._stamp or self._tick()
        future = self._future()
        call = Call(form, arrays, future, level, deadline, now)
        try:
            if deadline <= now:
                self._policy.park(call, now)
            elif (batch := self._submit(call)) is None:
                self._stage_placements()
            elif (write := batch.write) is None:
                self._stage_first(batch, call)
            else:
                write(call.row, form.rows, arrays)
                if not form.plain:
                    batch.plain = False
            return await future
        except QueueFull:
            self._meter.rejected += 1
            raise
        except TrtasyncError:
            raise
        except BaseException:
            self._abandon(call)
            raise

    def statistics(self) -> Statistics:
        """A frozen picture of what the engine has done and is doing. Cheap; any time, even closed."""
        policy = self._policy
        lanes = tuple(
            LaneStatistics(state.alive, len(state.running), worker.batches, worker.on_loop)
            for state, worker in zip(self._states, self._workers, strict=True)
        )
        return self._meter.snapshot(
            policy.queued, policy.in_flight, policy.unanswered(), policy.left_out, lanes
        )

    async def aclose(self, drain: bool = True) -> None:
        """Close the engine; leaves no thread and no buffer. Closing twice is fine.

        Args:
            drain: answer everything that was accepted first. Otherwise waiting requests get
                EngineClosed at once; what is running is finished and answered all the same. If the
                drain is cancelled, it turns into that.
        """
        if self._closers is not None or self._is_closed:
            if not drain:
                self._fail_waiting(EngineClosed("the engine was closed before this request ran."))
            await self._wait_closed()
            return
        self._closers = []
        self._refuse(EngineClosed, "the engine is closed; open another one.")
        try:
            if drain:
                await self._wait_idle()
        finally:
            self._fail_waiting(EngineClosed("the engine was closed before this request ran."))
            await self._end()

    def __repr__(self) -> str:
        policy = self._policy
        state = "closed" if self._is_closed else "closing" if self._closers is not None else "open"
        return (
            f"<trtasync.Engine {self._backend.name}: {state}, "
            f"{policy.queued} rows queued, {policy.in_flight} in flight>"
        )

    def __del__(self) -> None:
        if not getattr(self, "_is_closed", True):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=1, source=self)

    # -- a request comes in ----------------------------------------------------------------------

    def _tick(self) -> float:
        """Requests of one loop iteration share one time stamp and one ring of the bell."""
        self._stamp = now = self._now()
        self._loop.ring()
        return now

    def _stage_first(self, batch: Batch, call: Call) -> None:
        write = self._bind(batch)
        begin = perf_counter()
        write(call.row, call.rows, call.arrays)
        self._meter.stage.add((perf_counter() - begin) / call.rows)
        batch.plain = batch.plain and call.form.plain

    def _bind(self, batch: Batch) -> WriteRow:
        batch.write = write = batch.slot.bind(batch.group.layout)
        return write  # type: ignore[no-any-return]

    def _stage_placements(self) -> None:
        """Stage what the policy found a place for outside `submit`."""
        placements = self._policy.placements
        for entry in placements:
            batch = entry.batch
            if entry.gone or batch is None:
                continue
            write = batch.write or self._bind(batch)
            if isinstance(entry, Part):
                batch.plain = False
                write(entry.row, entry.rows, entry.whole.rows_of(entry))  # type: ignore[attr-defined]
            else:
                batch.plain = batch.plain and entry.form.plain  # type: ignore[attr-defined]
                write(entry.row, entry.rows, entry.arrays)  # type: ignore[attr-defined]
        placements.clear()

    def _abandon(self, call: Call) -> None:
        """The caller was cancelled: the request leaves the queue, or its answer will be dropped."""
        if call.future.done() and not call.future.cancelled():
            return  # it had its answer, and its task was cancelled before it woke up
        self._meter.cancelled += 1
        self._policy.withdraw(call, self._now())
        self._stage_placements()
        self._loop.ring()

    def _abandoned(self, batch: Batch) -> list[Any]:
        """Entries whose caller was cancelled in this loop iteration and has not run yet."""
        if batch.plain:
            return [call for call in batch.entries if call.future.done()]
        return [
            entry
            for entry in batch.entries
            if (entry.whole if isinstance(entry, Part) else entry).future.done()  # type: ignore[attr-defined]
        ]

    def _new_group(self, layout: Layout) -> Group:
        self._backend.admit(layout)
        return Group(layout)

    # -- the one door ----------------------------------------------------------------------------

    def _pump(self) -> None:
        self._stamp = 0.0
        try:
            if self._notes or self._deaths or self._polled:
                self._collect()
            policy = self._policy
            begin = now = self._now()
            while (batch := policy.next_batch(now)) is not None:
                ran_here = self._launch(batch)
                now = self._now()
                if ran_here and now - begin > self._pass_budget:
                    # Enough run on the loop: others get their turn before the next batch.
                    if policy.queued:
                        self._loop.ring()
                    break
            self._loop.alarm(policy.wake_at)
            if self._idle is not None and not self._idle.done() and self._is_idle():
                self._idle.set_result(None)
        except Exception as error:
            self._break(error)

    def _collect(self) -> None:
        """Take in what finished or died elsewhere since the last time."""
        while self._notes:
            self._complete(*self._notes.popleft())
        while self._deaths:
            self._lane_died(*self._deaths.popleft())
        if self._polled:
            self._poll()

    def _launch(self, batch: Batch) -> bool:
        """Start a batch; True if it was run to its end right here, on the loop."""
        slot, rows = batch.slot, batch.run_rows
        for move in batch.moves:
            slot.move(*move)
        if self._policy.placements:
            self._stage_placements()
        if rows > batch.size:
            slot.pad(batch.size, rows)
        worker = self._workers[batch.lane]
        lane = worker.lane
        if lane.asynchronous:
            self._launch_asynchronous(batch, worker)
            return False
        if self._on_loop(batch):
            worker.on_loop += 1
            self._complete(batch, run(lane, slot, rows))
            return True
        self._in_thread(batch, partial(run, lane, slot, rows))
        return False

    def _launch_asynchronous(self, batch: Batch, worker: _Worker) -> None:
        begin = perf_counter()
        try:
            worker.lane.launch(batch.slot, batch.run_rows)
        except Exception as error:
            self._complete(batch, failed(error))
            return
        if self._on_loop(batch):
            worker.on_loop += 1
            self._polled.append((batch, begin))
            self._loop.ring()
        else:
            self._in_thread(
                batch, partial(finish, worker.lane, batch.slot, batch.run_rows, begin)
            )

    def _on_loop(self, batch: Batch) -> bool:
        """Short enough, by what was measured, to do without a thread."""
        bound = batch.group.cost.bound(batch.run_rows)
        return bound is not None and bound <= self._loop_budget

    def _poll(self) -> None:
        still = []
        for batch, begin in self._polled:
            lane = self._workers[batch.lane].lane
            if lane.ready(batch.slot):
                self._complete(batch, finish(lane, batch.slot, batch.run_rows, begin))
            else:
                still.append((batch, begin))
        self._polled = still
        if still:
            self._loop.ring()

    def _in_thread(self, batch: Batch, work: Callable[[], Outcome]) -> None:
        def job() -> None:
            self._notes.append((batch, work()))
            self._loop.ring_from_thread()

        self._workers[batch.lane].thread.put(job)

    def _thread_died(self, index: int, error: BaseException) -> None:
        """Called by a lane's thread as its last act."""
        self._deaths.append((index, error))
        self._loop.ring_from_thread()

    # -- a batch ends ----------------------------------------------------------------------------

    def _complete(self, batch: Batch, outcome: Outcome) -> None:
        if outcome.error is None:
            now = self._now()
            if outcome.pieces:
                self._answer_pieces(batch, outcome)
            else:
                self._answer(batch, batch.slot.outputs)
            self._count(batch, outcome.times, now)
        elif outcome.lost or len(batch.entries) == 1:
            self._fail_batch(batch, outcome.error)
        else:
            self._meter.retried += 1
            self._retry(batch)
            return
        self._workers[batch.lane].batches += 1
        measured = outcome.seconds if outcome.times is not None else None
        self._policy.finished(batch, self._now(), measured)
        batch.entries = []  # they point back at the batch: a cycle would wait for the collector
        if outcome.lost:
            self._lane_died(batch.lane, outcome.error)
        if self._policy.placements:
            self._stage_placements()

    def _retry(self, batch: Batch) -> None:
        """One bad row must not take its neighbours along: run the batch again in halves."""
        counts = [entry.rows for entry in batch.entries]
        lane = self._workers[batch.lane].lane
        self._in_thread(
            batch, partial(run_in_halves, lane, batch.slot, counts, self._padded_rows)
        )

    def _answer(self, batch: Batch, outputs: list[Array]) -> None:
        if batch.plain and self._one_output:
            rows = plain_rows(outputs[0], batch.size, self._lent)
            missed = 0
            for call, row in zip(batch.entries, rows, strict=True):
                try:
                    call.future.set_result(row)
                except InvalidStateError:  # cancelled meanwhile; asking first costs every request
                    missed += 1
            self._meter.answered += len(rows) - missed
            return
        for entry in batch.entries:
            if not entry.gone:
                self._answer_entry(entry, take(outputs, entry.row, entry.rows))

    def _answer_entry(self, entry: Any, outputs: list[Array]) -> None:
        call = entry
        if isinstance(entry, Part):
            call = entry.whole
            whole = call.collect(entry.offset, outputs)
            if whole is None:
                return
            outputs = whole
        if not call.future.done():
            self._meter.answered += 1
            call.future.set_result(shape_answer(call.form, self._names, outputs))

    def _answer_pieces(self, batch: Batch, outcome: Outcome) -> None:
        for entry, piece in zip(batch.entries, outcome.pieces, strict=True):
            if isinstance(piece, Exception):
                self._fail(entry.whole if isinstance(entry, Part) else entry, piece)
            elif not entry.gone:
                self._answer_entry(entry, piece)

    def _count(self, batch: Batch, times: Times | None, now: float) -> None:
        meter = self._meter
        meter.batch_sizes[batch.size] += 1
        meter.padded_rows += batch.run_rows - batch.size
        if times is not None:
            meter.compute.add(times.compute)
            if times.copy_in or times.copy_out:
                meter.copy_in.add(times.copy_in)
                meter.copy_out.add(times.copy_out)
        entries = batch.entries
        first, last = entries[0].arrival, entries[-1].arrival
        if first == last:
            meter.latency.add(now - first, len(entries))
            meter.queue.add(batch.started - first, len(entries))
        else:
            for entry in entries:
                meter.latency.add(now - entry.arrival)
                meter.queue.add(batch.started - entry.arrival)

    def _fail_batch(self, batch: Batch, error: Exception) -> None:
        for entry in batch.entries:
            self._fail(entry.whole if isinstance(entry, Part) else entry, error)

    def _fail(self, call: Any, cause: BaseException) -> None:
        """Fail one request, with an exception of its own."""
        if call.future.done():
            return
        self._meter.failed += 1
        call.future.set_exception(_own_error(cause))
        self._policy.withdraw(call, self._now())

    # -- the end of a lane, of the engine --------------------------------------------------------

    def _lane_died(self, index: int, cause: BaseException | None) -> None:
        """Fail what was running on a lane and go on with the others, if there are any."""
        state = self._states[index]
        if not state.alive:
            return
        log.error("lane %d of %r is dead: %s", index, self._backend.name, cause)
        lost = DeviceLost(f"lane {index} died: {cause}; the engine goes on with the others.")
        lost.__cause__ = cause
        for batch in list(state.running):
            self._fail_batch(batch, lost)
            self._policy.finished(batch, self._now(), None)
        self._polled = [item for item in self._polled if item[0].lane != index]
        if not self._policy.lane_died(index, self._now()):
            message = f"no lane is left: {cause}; close this engine and open another one."
            self._refuse(DeviceLost, message)
            self._fail_waiting(DeviceLost(message))
        self._stage_placements()

    def _break(self, error: BaseException) -> None:
        """A bug in here must not leave callers waiting for ever."""
        message = f"internal error in trtasync, please report it: {error!r}"
        log.critical(message, exc_info=error)
        self._broken = True
        self._refuse(TrtasyncError, message)
        failure = TrtasyncError(message)
        for batch in [batch for state in self._states for batch in state.running]:
            self._fail_batch(batch, failure)
        self._fail_waiting(failure)
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _refuse(self, kind: type[TrtasyncError], message: str) -> None:
        if self._refusal is None or self._refusal[0] is EngineClosed:
            self._refusal = (kind, message)

    def _fail_waiting(self, error: TrtasyncError) -> None:
        for call in self._policy.drain():
            self._fail(call, error)

    async def _wait_idle(self) -> None:
        """Until everything accepted has its answer."""
        if not self._is_idle():
            self._idle = self._future()
            self._loop.ring()
            await self._idle

    def _is_idle(self) -> bool:
        return self._broken or not (self._policy.in_flight or self._policy.unanswered())

    async def _end(self) -> None:
        """Wait for what is running, then give everything back. Not to be interrupted."""
        cancelled: BaseException | None = None
        with anyio.CancelScope(shield=True):
            while not self._is_idle():
                try:
                    await self._wait_idle()
                except BaseException as error:
                    cancelled = error
            try:
                await in_thread(self._teardown)
            except BaseException as error:
                cancelled = error
        self._loop.close()
        self._is_closed = True
        _engines.discard(self)
        for future in self._closers or ():
            if not future.done():
                future.set_result(None)
        if cancelled is not None:
            raise cancelled

    async def _wait_closed(self) -> None:
        if not self._is_closed and self._closers is not None:
            future = self._future()
            self._closers.append(future)
            await future

    def _teardown(self) -> None:
        for worker in self._workers:
            worker.thread.join()
        for worker in reversed(self._workers):
            worker.lane.close()
        self._backend.close()


def _level(priority: int) -> int:
    if isinstance(priority, int) and 1 <= priority <= LEVELS:
        return priority
    raise InvalidInput(f"priority must be 0 (default) or 1 (first) to {LEVELS}, not {priority!r}.")


def _own_error(cause: BaseException) -> TrtasyncError:
    """A new exception for one caller: one object shared by many would collect all tracebacks."""
    if isinstance(cause, TrtasyncError):
        error: TrtasyncError = type(cause)(*cause.args)
        error.__cause__ = cause.__cause__
    else:
        error = InferenceError(f"the model failed on this request: {cause}")
        error.__cause__ = cause
    return error


_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()


def _forked() -> None:
    for engine in list(_engines):
        engine._refusal = (
            WrongLoop,
            "this engine was opened before a fork and its threads and device stayed in the parent; "
            "open an engine in the child (or start processes with 'spawn').",
        )
        engine._is_closed = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
