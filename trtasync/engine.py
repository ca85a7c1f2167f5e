"""The engine: what users hold. Requests are checked, admitted and awaited here."""

import os
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any, NamedTuple, SupportsIndex, overload

import anyio
import numpy as np

from trtasync.core.assembly import Core
from trtasync.core.intake import NEVER, REFUSED
from trtasync.core.layouts import queue_maker
from trtasync.core.metrics import Statistics
from trtasync.core.records import BatchRecord
from trtasync.core.reservations import Reservation
from trtasync.errors import EngineClosed, InvalidInput
from trtasync.loops import Future, free_in_thread
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
from trtasync.requests.signature import Array, Signature
from trtasync.rows import Judgement
from trtasync.runtimes import Backend, OpenLane
from trtasync.scheduler import PolicyOptions, Queue
from trtasync.scheduler.requests import DEFAULT_LEVEL, LEVELS

ndarray = np.ndarray

DRAINING, ABORTING = 60.0, 10.0
"""Seconds in which some batch has to end while the engine is closed, with and without drain."""

UNWANTED = 1.0
"""The same for what nobody waits for: told to stop before it had begun, it is told again."""

_CLOSED = "the engine is closed; open another one."
_ABORTED = "the engine was closed before this request ran."


class Engine:
    """A model that answers `await engine.infer(x)`. Made by `trtasync.open_engine`.

    An engine belongs to the event loop that opened it. The `async with` that opened it closes it;
    one that was awaited is closed by `aclose` (`contextlib.aclosing` does so at the end of a
    block). When it is forgotten it warns, and its threads and memory are freed all the same.

    Attributes:
        name: what it is called in log lines, warnings and names of threads.
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
        # What every request needs, looked up once.
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
        """Whether requests share batches, and what is known of each output's rows."""
        return self._judgement

    def empty_input(
        self,
        rows: int | None = None,
        *,
        name: str | None = None,
        shape: Sequence[int] | None = None,
    ) -> Array:
        """A numpy array for a request, in memory that the GPU fetches by itself. From any thread.

        On the TensorRT backend it is pinned memory. A large request made of such arrays (or of
        contiguous views of them) is not copied by the CPU: its rows are gathered straight into the
        batch's device memory. On the CPU it is an ordinary array. Fill it in place: `x[...] = `,
        `np.take(..., out=x)`, `file.readinto(x)`.

        The memory is used again when the array and all its views are gone, and not before a batch
        that reads it has ended: there is nothing to give back by hand. Do not write to it until
        the answer is here. An array that outlives the engine keeps its memory.

        Args:
            rows: of the batch axis; None for one row without it.
            name: of the input; may be left out where there is only one.
            shape: of a row, without the batch axis; may be left out where it is fixed.

        Returns:
            an array of the input's dtype whose content is arbitrary.

        Raises:
            InvalidInput: there is no such input, or it takes no such shape.
            EngineClosed: the engine is closing or closed.
            CudaError: there is not so much memory to lock.
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
        """Run the model on one request, in a batch with whatever else is waiting.

        The caller's effective deadline (`anyio.fail_after`, `anyio.move_on_after`) orders the
        queue: the earliest first within a priority; what cannot make it is not computed.

        Args:
            inputs: an array; a list or tuple of arrays in input order; or a mapping by input name.
                An array of the spec's rank brings rows (batch axis first), one of a rank less is
                one row. Not to be written to until the answer is here.
                On the TensorRT backend arrays in the memory of its GPU are taken too, if they speak
                DLPack or the CUDA array interface: they are copied there, after the work that was
                enqueued to make them.
            priority: 1 (first) to 9 (last); 0 is the default, 5. A request that waits gains a
                level every 10 s. In a full queue waiting requests of worse priority give way.
            outputs: "host", or "device" on the TensorRT backend: arrays in the GPU's memory that
                speak DLPack and the CUDA array interface, and keep it until they are let go.
            copy: False to have large answers lent instead of copied: `infer` returns a context
                manager, `with await engine.infer(x, copy=False) as y:`, and `y` is views of the
                memory the batch was answered in, not to be looked at after the block. A stream has
                few such memories; when all but one are held, answers are copied after all.

        Returns:
            one array for a model of one output when one array was given, otherwise a dict by output
            name: a mapping, list or tuple gets a dict in any case. Rows come back as rows, one row
            without batch axis without it. The arrays are the caller's own.

        Raises:
            InvalidInput: a name, dtype, rank or dimension is not what the model takes.
            RequestTooLarge: it has more rows than `max_queue_size`.
            QueueFull: `max_queue_size` rows are waiting, or more than are served in
                `max_queue_time`, and none of worse priority; or one of better priority took the
                place of this one while it waited.
            InferenceError: the model failed on this request.
            EngineClosed: the engine is closing or closed.
            DeviceLost: the stream died under this request.
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
            reservation.level = _level(priority)
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
        """It may be lent, or stay on the device."""
        if outputs == "host":
            reservation.lend = reservation.unusual = not copy
            return
        if outputs != "device":
            raise InvalidInput(f"outputs must be 'host' or 'device', not {outputs!r}.")
        if signature.cuts:
            raise InvalidInput("outputs='device' does not go with padding= that is cut off again.")
        backend = self._backend
        reservation.on_device = backend.device_outputs(signature.layout, signature.rows)
        reservation.unusual = True

    def statistics(self) -> Statistics:
        """A frozen picture of what the engine has done and is doing; any time, even closed."""
        return self._core.statistics()

    async def aclose(self, drain: bool = True) -> None:
        """Close the engine; leaves no thread, no buffer and no model. Closing twice is fine.

        Args:
            drain: answer everything that was accepted first. Otherwise waiting requests get
                EngineClosed at once; what is running is finished and answered all the same, unless
                all its callers have gone: then it is stopped where the backend can do that. If
                the drain is cancelled, it turns into that.

        A run that does not end is given up after a minute (without drain, 10 s), or ten times what
        was measured if that is longer: it is stopped where the backend can do that, and 5 s later
        its stream is lost. What it holds, and the model, are left to the process then.

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
            future = self._future()
            closers.append(future)
            await future

    async def _end(self, closers: list[Future]) -> None:
        """Wait for what is running, then give everything back. Not to be interrupted."""
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
            except (cancellation, Exception) as error:  # others who close must not wait for ever
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
    """Let `watcher` be told of every batch that goes well, on the loop; None ends it.

    For tools such as `trtasync bench --trace`. It must not raise and should be quick. An engine
    that nobody watches asks once a batch whether somebody does.
    """
    engine._core.completion.watcher = watcher


class Inside(NamedTuple):
    """What serves requests without a task or a future for each; see `core.reservations`.

    Attributes:
        reader: from arrays to signatures.
        core: lets requests in, and tells replies.
        backend: the opened model.
    """

    reader: RequestReader[Queue]
    core: Core
    backend: Backend


def inside(engine: Engine) -> Inside:
    """The inner seam of an engine, for the host of a shared one and for servers. Its loop's own
    thread alone may use it."""
    return Inside(engine._reader, engine._core, engine._backend)


def _level(priority: object) -> int:
    if isinstance(priority, SupportsIndex) and not isinstance(priority, bool):
        level = index(priority)
        if 0 <= level <= LEVELS:
            return level or DEFAULT_LEVEL
    raise InvalidInput(f"priority must be 0 (default) or 1 (first) to {LEVELS}, not {priority!r}.")


_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()


def _forked() -> None:
    for engine in list(_engines):
        engine._left_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
