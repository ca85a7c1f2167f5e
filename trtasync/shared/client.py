"""The engine as a client sees it: requests are written to shared memory, said, and awaited."""

import math
import os
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import anyio
import numpy as np

from trtasync.core.metrics import Statistics
from trtasync.core.priorities import read_level
from trtasync.errors import EngineClosed, InvalidInput, TrtasyncError
from trtasync.loops import Future, current_loop, free_in_thread
from trtasync.model.arrays import Array
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.requests.array_types import Given, Host, OnDevice
from trtasync.requests.given import GivenReader
from trtasync.rows import Judgement
from trtasync.scheduler.requests import DEFAULT_LEVEL
from trtasync.shared.figures import ask_statistics
from trtasync.shared.greeting import read_judgement, read_spec
from trtasync.shared.joining import Joined
from trtasync.shared.link import ABORTED, CLOSED, Link, Way
from trtasync.shared.protocol import AnyEngine
from trtasync.shared.records import NEVER, RECORD, Nonsense, Op
from trtasync.shared.session import Wrap
from trtasync.shared.slots import Form, array_in

INFER = int(Op.INFER)

ndarray = np.ndarray
pack: Callable[..., bytes] = RECORD.pack
inf: float = math.inf


class SharedEngine(AnyEngine):
    """An engine in a process that others share. Made by `open_engine(shared=True)` or `connect`.

    It is used as `Engine` is, but for arrays on a device. When the engine's process ends, all
    requests fail with `DeviceLost`, those that follow with `EngineRestarting` (or wait, by
    `reconnect=`), and it goes on when there is a process again.
    """

    def __init__(
        self, name: str | None, joined: Joined, way: Way, patience: float, hang_timeout: float
    ):
        """Not for users.

        Args:
            name: what the engine is called; None for what the host calls it.
            joined: the host. It is closed if this fails.
            way: to the next one.
            patience: seconds that a request waits for it.
            hang_timeout: see `link.Link`.

        Raises:
            Nonsense: the host has told what this version does not understand.
        """
        welcome = joined.welcome
        try:
            self._spec: ModelSpec = read_spec(welcome.spec or {})
            self._judgement: Judgement = read_judgement(welcome.judgement or {})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            joined.close()
            raise Nonsense(
                f"the host tells of its model what is not understood: {error}"
            ) from error
        self.name: str = name or welcome.name or ""
        self._way = way
        self._loop = current_loop()
        self._link = Link(self.name, self._loop, self._spec, joined, way, patience, hang_timeout)
        self._given = GivenReader(self._spec)
        self._closers: list[Future] | None = None
        self._is_closed = False
        self._last: Statistics | None = None
        # What every request needs, looked up once.
        self._dtype = self._spec.inputs[0].dtype
        self._deadline: Callable[[], float] = self._loop.deadline
        _engines.add(self)

    @property
    def host_pid(self) -> int:
        """The process that the engine runs in, or ran in last."""
        return self._link.pid

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The model's inputs, in order."""
        return self._spec.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The model's outputs, in order."""
        return self._spec.outputs

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
        """A numpy array for a request, in memory that the engine's process has too.

        A large request whose arrays are all of this kind (or contiguous views of them) is copied by
        no CPU. See `Engine.empty_input`. From any thread. An array of before the process was
        started anew is copied as any other, and so is one that is asked for meanwhile.

        Raises:
            InvalidInput: there is no such input, or it takes no such shape.
            QueueFull: as much memory as is allowed is in use.
            EngineClosed: the engine is closing or closed.
        """
        if self._closers is not None or self._is_closed:
            raise EngineClosed(CLOSED)
        spec, full = self._spec.input_shape(name, rows, shape)
        session = self._link.session
        if not session.is_open:
            return np.empty(full, spec.dtype)
        slot = session.credit.take(math.prod(full) * spec.dtype.itemsize)
        return array_in(slot, full, spec.dtype)

    async def infer(
        self,
        inputs: Given,
        *,
        priority: int = 0,
        outputs: Host | OnDevice = "host",
        copy: bool = True,
    ) -> Any:
        """Run the model on one request, in a batch with those of all processes.

        See `Engine.infer`, for the arguments, the answer and the errors too.

        Raises:
            InvalidInput: as there, and for `outputs="device"`.
            QueueFull: as there, and when as much memory is in use as may be shared.
            DeviceLost: the engine's process ended under this request.
            EngineRestarting: it ended before, and another one is not there yet.
        """
        deadline = self._deadline()
        level = DEFAULT_LEVEL if priority == 0 else read_level(priority)
        session = self._link.session
        if (
            type(inputs) is not ndarray
            or inputs.dtype is not self._dtype
            or (form := session.quick.get(inputs.shape)) is None
            or outputs != "host"
            or not copy
        ):
            return await self._infer_otherwise(inputs, level, deadline, outputs, copy)
        if form.large:
            return await session.ask(form, (inputs,), level, deadline, True)
        try:
            slot = form.free.pop()
        except IndexError:
            slot = session.more(form)
        reply, record, is_said = None, b"", False
        try:
            if slot.form is not form:
                slot.turn(form)
            try:
                slot.vector[:] = inputs
            except (TypeError, ValueError):  # more axes than one; unaligned memory
                slot.write((inputs,))
            reply = session.future()
            if not session.out:
                session.wake()
            when = NEVER if deadline == inf else session.until(deadline)
            record = pack(INFER, level, form.number, slot.number, slot.generation, 0, when, 0)
            slot.asked = form
            slot.reply = reply
            session.out.append(record)
            is_said = True
            return await reply
        except BaseException:
            session.leave(slot, reply, record, is_said)
            raise

    async def _infer_otherwise(
        self, inputs: Given, level: int, deadline: float, outputs: str, copy: bool
    ) -> Any:
        """A request whose form is not known yet, of several arrays, or to be lent its answer."""
        if outputs != "host":
            raise InvalidInput(
                f"outputs must be 'host' for a shared engine, whose device only its own process "
                f"reaches; not {outputs!r}.",
                name="outputs",
            )
        session = self._link.session
        form: Form | None = None
        if type(inputs) is ndarray and inputs.dtype is self._dtype:
            arrays: Sequence[Array] = (inputs,)
            form = session.quick.get(inputs.shape)
        if form is None:
            arrays, single = self._given.read(inputs)
            session = await self._link.usable()
            form = await session.forms.find(arrays, single)
        return await session.ask(form, arrays, level, deadline, copy)

    @property
    def is_alive(self) -> bool:
        """The engine's process is there, which ends when it has nothing left to compute on."""
        return self._link.session.is_open

    def statistics(self) -> Statistics:
        """A frozen picture of the engine, all its clients together. It is asked for over a
        connection of its own, and blocks for so long; of a closed engine it is the last one.

        Raises:
            BackendUnavailable: the engine's process does not answer.
        """
        return self._last or ask_statistics(self._way.path, self._link.model)

    async def aclose(self, drain: bool = True) -> None:
        """Leave the engine; its process goes on for others. Closing twice is fine.

        Args:
            drain: wait for what was asked. Otherwise, or if the wait is cancelled, requests fail
                with EngineClosed at once, and those that wait in a queue are not computed.

        Raises:
            WrongLoop: called from another event loop or thread.
        """
        if not self._is_closed:
            self._loop.check()
        if self._closers is not None or self._is_closed:
            if not drain:
                self._link.session.end(lambda: EngineClosed(ABORTED))
            await self._wait_closed(self._closers)
            return
        self._closers = []
        self._link.refuse()
        try:
            if drain:
                await self._link.session.idle()
        finally:
            await self._end(self._closers)

    async def _wait_closed(self, closers: list[Future] | None) -> None:
        if not self._is_closed and closers is not None:
            future = self._loop.future()
            closers.append(future)
            await future

    async def _end(self, closers: list[Future]) -> None:
        """Hang up, and leave no thread. Not to be interrupted."""
        with anyio.CancelScope(shield=True):
            with suppress(TrtasyncError):
                self._last = await free_in_thread(self.statistics)
            self._link.hang_up()
            await free_in_thread(self._link.join)
        self._loop.close()
        self._is_closed = True
        _engines.discard(self)
        for future in closers:
            if not future.done():
                future.set_result(None)

    def _left_in_parent(self) -> None:
        self._link.leave_to_parent()
        self._is_closed = True

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open" if self._closers is None else "closing"
        return (
            f"<trtasync.SharedEngine {self.name!r} in process {self.host_pid}: {state}, "
            f"{self._link.session.awaited()} requests under way>"
        )

    def __del__(self) -> None:
        if not getattr(self, "_is_closed", True):
            self._link.let_go()
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=1, source=self)


def wrap_futures(engine: SharedEngine, wrap: Wrap | None) -> None:
    """Let `infer` await what `wrap` makes of its future, in the caller's task and context; None
    ends it. For tracing; without it nothing is paid."""
    engine._link.wrap(wrap)


_engines: "weakref.WeakSet[SharedEngine]" = weakref.WeakSet()


def _forked() -> None:
    for engine in list(_engines):
        engine._left_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
