"""The engine, the object that users work with: it checks, admits and awaits requests."""

import os
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, overload

import anyio
import numpy as np

from trtasync.core.assembly import Core
from trtasync.core.intake import NEVER, REFUSED
from trtasync.core.layouts import queue_maker
from trtasync.core.metrics import Statistics
from trtasync.core.priorities import read_level
from trtasync.core.records import BatchRecord, Observer
from trtasync.core.reservations import Reservation
from trtasync.errors import EngineClosed, InvalidInput
from trtasync.loops import Future, free_in_thread
from trtasync.model.arrays import Array
from trtasync.model.tensors import Pad, TensorSpec
from trtasync.requests.answers import LentAnswer
from trtasync.requests.array_types import (
    ArrayOnDevice,
    Copied,
    Given,
    GivenArray,
    GivenArrays,
    Host,
    Lent,
    OnDevice,
)
from trtasync.requests.reader import RequestReader
from trtasync.requests.signature import Signature
from trtasync.rows import Judgement
from trtasync.runtimes import Backend, OpenLane
from trtasync.scheduler import PolicyOptions, Queue

ndarray = np.ndarray

DRAINING, ABORTING = 60.0, 10.0
"""Seconds within which a batch must end while the engine closes, with and without drain."""

UNWANTED = 1.0
"""The same for runs whose callers have all gone. A run told to stop before it began is told
again."""

_CLOSED = "the engine is closed; open another one."
_ABORTED = "the engine was closed before this request ran."


class Engine:
    """A model that answers `await engine.infer(x)`. Made by `trtasync.open_engine`.

    An engine belongs to the event loop that opened it. The `async with` that opened it closes it;
    an engine that was awaited is closed by `aclose` (`contextlib.aclosing` calls it at the end of a
    block). An engine that is never closed emits a ResourceWarning when it is collected; its threads
    and memory are freed all the same.

    Attributes:
        name: its name in log lines, warnings and thread names.
    """

    def __init__(
        self,
        name: str,
        backend: Backend,
        lanes: Sequence[OpenLane],
        options: PolicyOptions,
        padding: Mapping[str, Pad],
        loop_budget: float,
        judgement: Judgement,
        run_timeout: float | None = None,
        max_row_bytes: int | None = None,
    ):
        """Not for users: `open_engine` checks the arguments and loads the model first."""
        self.name = name
        self._backend = backend
        self._judgement = judgement
        self._reader = RequestReader(
            backend.spec, padding, queue_maker(backend, max_row_bytes), backend.adopt
        )
        self._core = Core(name, backend, lanes, options, loop_budget, run_timeout)
        self._closers: list[Future] | None = None
        self._is_closed = False
        # Attributes that every request needs, looked up once.
        self._signatures = self._reader.arrays
        self._dtype = self._reader.dtype
        self._enter = self._core.intake.enter
        self._deadline = self._core.loop.deadline
        self._future = self._core.loop.future
        _engines.add(self)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The model's inputs, in order."""
        return self._backend.spec.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The model's outputs, in order."""
        return self._backend.spec.outputs

    @property
    def batching(self) -> Judgement:
        """Whether requests share batches, and the finding on each output's rows."""
        return self._judgement

    def empty_input(
        self,
        rows: int | None = None,
        *,
        name: str | None = None,
        shape: Sequence[int] | None = None,
    ) -> Array:
        """Return a numpy array for a request, in memory that the GPU can read. Thread-safe.

        On the TensorRT backend it is pinned memory. A large request made of such arrays (or of
        contiguous views of them) is not copied by the CPU: its rows are copied straight into the
        batch's device memory. On the CPU it is an ordinary array. Fill it in place: `x[...] = `,
        `np.take(..., out=x)`, `file.readinto(x)`.

        The memory is reused when the array and all its views are gone and no running batch reads
        it, so there is nothing to release by hand. Do not write to the array before the answer has
        arrived. An array that outlives the engine keeps its memory.

        Args:
            rows: length of the batch axis; None for one row without it.
            name: name of the input; optional if there is only one.
            shape: shape of a row, without the batch axis; optional if it is fixed.

        Returns:
            an array of the input's dtype with arbitrary content.

        Raises:
            InvalidInput: there is no such input, or it does not have this shape.
            EngineClosed: the engine is closing or closed.
            CudaError: that much memory cannot be locked.
        """
        if self._closers is not None or self._is_closed:
            raise EngineClosed(_CLOSED)
        spec, full = self._backend.spec.input_shape(name, rows, shape)
        return self._backend.empty_input(full, spec.dtype)

    @overload
    async def infer(
        self, inputs: GivenArrays, *, priority: int = 0, outputs: Host = "host", copy: Copied = True
    ) -> dict[str, Array]: ...
    @overload
    async def infer(
        self, inputs: GivenArray, *, priority: int = 0, outputs: Host = "host", copy: Copied = True
    ) -> Array | Any: ...
    @overload
    async def infer(
        self, inputs: GivenArrays, *, priority: int = 0, outputs: Host = "host", copy: Lent
    ) -> LentAnswer[dict[str, Array]]: ...
    @overload
    async def infer(
        self, inputs: GivenArray, *, priority: int = 0, outputs: Host = "host", copy: Lent
    ) -> LentAnswer[Array | Any]: ...
    @overload
    async def infer(
        self, inputs: GivenArrays, *, priority: int = 0, outputs: OnDevice, copy: bool = True
    ) -> dict[str, ArrayOnDevice]: ...
    @overload
    async def infer(
        self, inputs: GivenArray, *, priority: int = 0, outputs: OnDevice, copy: bool = True
    ) -> ArrayOnDevice | Any: ...
    @overload
    async def infer(
        self, inputs: Given, *, priority: int = 0, outputs: Host | OnDevice = "host", copy: bool
    ) -> Any: ...
    async def infer(
        self,
        inputs: Given,
        *,
        priority: int = 0,
        outputs: Host | OnDevice = "host",
        copy: bool = True,
    ) -> Any:
        """Run the model on one request, in a batch with other waiting requests.

        The caller's effective deadline (`anyio.fail_after`, `anyio.move_on_after`) orders the
        queue: the earliest goes first within a priority. A request that cannot meet its deadline is
        not computed.

        Args:
            inputs: an array; a list or tuple of arrays in input order; or a mapping by input name.
                An array of the spec's rank holds several rows (batch axis first), one with a
                dimension less holds one row. Do not write to it before the answer has arrived.
                On the TensorRT backend, arrays in the memory of its GPU are accepted too, if they
                support DLPack or the CUDA array interface: they are copied on the GPU, after the
                work that was enqueued to compute them.
            priority: 1 (first) to 9 (last); 0 is the default, 5. A waiting request gains a level
                every 10 s. If the queue is full, waiting requests of worse priority are displaced.
            outputs: "host", or "device" on the TensorRT backend: arrays in the GPU's memory that
                support DLPack and the CUDA array interface, and own their memory.
            copy: False to borrow large answers instead of copying them: `infer` returns a context
                manager, `with await engine.infer(x, copy=False) as y:`, and `y` holds views of the
                batch's own memory, which must not be used after the block. A stream has few such
                buffers; while all but one are borrowed, answers are copied.

        Returns:
            one array if one array was given and the model has one output, otherwise a dict by
            output name; a mapping, list or tuple always gets a dict. The answer to a single row
            without batch axis has none either. The arrays belong to the caller.

        Raises:
            InvalidInput: a name, dtype, rank or dimension does not fit the model.
            RequestTooLarge: it has more rows than `max_queue_size`.
            QueueFull: `max_queue_size` rows are waiting, or more than can be served in
                `max_queue_time`, and none has a worse priority; or a request of better priority
                displaced this one while it waited.
            InferenceError: the model failed on this request.
            EngineClosed: the engine is closing or closed.
            DeviceLost: the stream died while it ran this request, or no stream is left.
            WrongLoop: called from another event loop, thread or process.
        """
        deadline = self._deadline()
        content: Any = inputs
        if (
            type(inputs) is not ndarray
            or inputs.dtype is not self._dtype
            or (signature := self._signatures.get(inputs.shape)) is None
        ):
            signature, content = self._reader.read(inputs)
        reservation = Reservation()
        special = deadline is not NEVER or priority != 0 or outputs != "host" or not copy
        if special:
            reservation.deadline = deadline
            reservation.level = read_level(priority)
            self._choose_answer(reservation, signature, outputs, copy)
        reply = self._future()
        try:
            self._enter(reservation, signature, content, reply, special)
            return await reply
        except REFUSED:
            raise
        except BaseException as error:
            self._core.intake.leave(reservation, error)
            raise

    def _choose_answer(
        self, reservation: Reservation, signature: Signature[Queue], outputs: str, copy: bool
    ) -> None:
        """Mark a reservation whose answer is to be lent, or to stay on the device."""
        if outputs == "host":
            reservation.lend = reservation.unusual = not copy
            return
        if outputs != "device":
            raise InvalidInput(f"outputs must be 'host' or 'device', not {outputs!r}.")
        if signature.cuts:
            raise InvalidInput("outputs='device' cannot be combined with padding= that is cut off.")
        backend = self._backend
        reservation.on_device = backend.device_outputs(signature.layout, signature.rows)
        reservation.unusual = True

    @property
    def is_alive(self) -> bool:
        """Whether a stream is left to compute on; False once all of them are lost."""
        return any(stream.alive for stream in self.statistics().streams)

    def statistics(self) -> Statistics:
        """Return a snapshot of the engine's counters; works at any time, also after closing."""
        return self._core.statistics()

    async def aclose(self, drain: bool = True) -> None:
        """Close the engine and free its threads, buffers and model. Closing it twice is allowed.

        Args:
            drain: first answer all requests that were accepted. Otherwise waiting requests get
                EngineClosed at once. Running batches are finished and answered in either case; one
                whose callers have all gone is stopped if the backend supports that. A cancelled
                drain continues as if `drain` were False.

        A run that does not end is abandoned after a minute (without drain, 10 s), or ten times the
        measured time if that is longer: it is stopped if the backend supports that, and 5 s later
        its stream counts as lost. Its memory and the model are then kept until the process exits.

        Raises:
            WrongLoop: called from another event loop or thread.
        """
        core = self._core
        if not self._is_closed:
            core.loop.check()
        if self._closers is not None or self._is_closed:
            if not drain:
                core.failing.fail_waiting(EngineClosed(_ABORTED))
            await self._wait_closed(self._closers)
            return
        self._closers = []
        core.intake.refuse(EngineClosed(_CLOSED))
        core.policy.close()
        try:
            if drain:
                await core.closing.wait_idle(DRAINING)
        finally:
            core.failing.fail_waiting(EngineClosed(_ABORTED))
            await self._end(self._closers)

    async def _wait_closed(self, closers: list[Future] | None) -> None:
        if not self._is_closed and closers is not None:
            future = self._core.loop.future()
            closers.append(future)
            await future

    async def _end(self, closers: list[Future]) -> None:
        """Wait for running batches, then free everything. Shielded from cancellation."""
        core = self._core
        cancellation = anyio.get_cancelled_exc_class()
        problem: BaseException | None = None
        with anyio.CancelScope(shield=True):
            while not core.failing.is_idle():
                patience = UNWANTED if core.closing.stop_unwanted() else ABORTING
                try:
                    await core.closing.wait_idle(patience)
                except cancellation as error:
                    problem = error
            try:
                await free_in_thread(core.closing.teardown)
            except (cancellation, Exception) as error:  # other calls of `aclose` must not hang
                problem = error
        core.closing.release()
        self._is_closed = True
        _engines.discard(self)
        for future in closers:
            if not future.done():
                future.set_result(None)
        if problem is not None:
            raise problem

    def _left_in_parent(self) -> None:
        self._core.intake.refusal = self._core.loop.wrong()
        self._core.intake.stamp = 0.0
        self._is_closed = True

    def __repr__(self) -> str:
        policy = self._core.policy
        state = "open" if self._closers is None else "closing"
        return (
            f"<trtasync.Engine {self.name!r} on {self._backend.name}: "
            f"{'closed' if self._is_closed else state}, "
            f"{policy.queued} rows queued, {policy.in_flight} in flight>"
        )

    def __del__(self) -> None:
        if not getattr(self, "_is_closed", True):
            self._core.closing.let_go()
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=1, source=self)


def watch(engine: Engine, watcher: Callable[[BatchRecord], None] | None) -> None:
    """Call `watcher`, on the loop, with every batch that succeeds; None ends it.

    For tools such as `trtasync bench --trace`. It must not raise and should be quick. Without a
    watcher the cost is one comparison per batch.
    """
    engine._core.completion.watcher = watcher


def observe(engine: Engine, observer: Observer | None) -> None:
    """Tell `observer` of requests and batches, in place of any watcher; None ends it.

    For tracing. Servers look for it when they begin to serve an engine. Without it there is no
    cost.
    """
    core, future = engine._core, engine._core.loop.future
    core.observer = observer
    engine._future = future if observer is None else lambda: observer.future(future())
    core.completion.watcher = None if observer is None else observer.batch


class Inside(NamedTuple):
    """The parts that serve requests without a task or future each; see `core.reservations`.

    Attributes:
        reader: turns arrays into signatures.
        core: admits requests and completes replies.
        backend: the opened model.
    """

    reader: RequestReader[Queue]
    core: Core
    backend: Backend


def inside(engine: Engine) -> Inside:
    """Return the internal interface of an engine, for servers and the host of a shared engine. Only
    the thread of the engine's loop may use it."""
    return Inside(engine._reader, engine._core, engine._backend)


_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()


def _forked() -> None:
    for engine in list(_engines):
        engine._left_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
