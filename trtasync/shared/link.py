"""The way to the host, for as long as an engine is open: it is mended when the host has ended."""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import anyio

from trtasync.errors import EngineClosed, EngineRestarting, PlanError, TrtasyncError
from trtasync.loops import EventLoop, Future, current_loop
from trtasync.model.tensors import ModelSpec
from trtasync.shared.greeting import read_spec
from trtasync.shared.joining import Joined
from trtasync.shared.pulse import Pulse
from trtasync.shared.session import Session, Wrap
from trtasync.system.stopping import Stopped
from trtasync.system.threads import NoThread, start_thread

FIRST_DELAY, LONGEST_DELAY = 0.1, 30.0
"""Seconds between two attempts to reach a host: they double."""

HEALTHY = 60.0
"""Seconds after which a host is taken to run well: the next attempt is made at once again."""

CLOSED = "the engine is closed; open another one."
ABORTED = "the engine was closed before this request was answered."


class Way(Protocol):
    """How a host is reached.

    Attributes:
        path: of its socket.
    """

    @property
    def path(self) -> Path: ...

    def join(self, stop: threading.Event, hangs: bool = False) -> Joined:
        """Connect, maybe to a host that is started for it. In a thread; again and again.

        Args:
            stop: set to give up.
            hangs: the one that was there last said nothing any more.

        Raises:
            Stopped: because `stop` was set.
            TrtasyncError: there is no host.
        """


class Link:
    """A session with the host, and another one when the host has ended.

    It outlives the engine, which may be forgotten, so it knows nothing of it.

    Attributes:
        session: the present one, or the last.
        pid: of the process at its other end.
        model: what the model is called there.
        refusal: makes what requests fail with; None while all is well.
    """

    def __init__(
        self,
        name: str,
        loop: EventLoop,
        spec: ModelSpec,
        joined: Joined,
        way: Way,
        patience: float,
        hang_timeout: float,
    ):
        """Begin the first session.

        Args:
            name: of the engine, for the names of threads.
            loop: the running one.
            spec: the model's; hosts that are joined later must have the same.
            joined: the host.
            way: to the next one.
            patience: seconds that a request waits for it.
            hang_timeout: seconds for which a host may be silent; inf for whatever it takes.
        """
        self._name = name
        self._loop = loop
        self._spec = spec
        self._way = way
        self._patience = patience
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._found: deque[Joined] = deque()  # one at most; whoever pops it sees to it
        self._is_mending = False
        self._problem = ""
        self._attempt = 0
        self._delay = 0.0
        self._since = 0.0
        self._waiting: list[Future] = []
        self.refusal: Callable[[], TrtasyncError] | None = None
        self._wrap: Wrap | None = None
        self._hang_timeout = hang_timeout
        self._hangs = False
        self._pulse = Pulse(current_loop(), hang_timeout, self._silent)
        loop.callback = self._turn
        self._begin(joined)

    def _begin(self, joined: Joined) -> None:
        self._began = time.monotonic()
        self.pid: int = joined.welcome.pid
        self.model: str = joined.welcome.name or ""
        self.session: Session = Session(
            self._loop, joined.end, self._spec, joined.welcome.most_bytes or None, self._lost
        )
        self.session.wrap(self._wrap)
        self._hangs = False
        self._pulse.begin(self.session)

    def wrap(self, wrap: Wrap | None) -> None:
        """Let every request await what `wrap` makes of its future; None ends it."""
        self._wrap = wrap
        self.session.wrap(wrap)

    def _turn(self) -> None:
        """What the loop does when it is woken."""
        if self._is_mending and (found := self._take()) is not None:  # nobody closes meanwhile
            self._is_mending = False
            self.refusal = None
            self._begin(found)
            self._tell()
        self.session.flush()

    # -- a host that has ended ---------------------------------------------------------------

    def _lost(self, reason: str) -> None:
        self._problem = reason or "it said nothing"
        self._attempt = 0
        self._since = time.monotonic()
        if self._since - self._began > HEALTHY:
            self._delay = 0.0
        self._is_mending = True
        self.refusal = self._restarting
        try:
            self._thread = start_thread(self._mend, f"trtasync {self._name} mend")
        except NoThread as error:
            self._problem = str(error)

    def _silent(self) -> None:
        self._hangs = True
        self.session.lose(
            f"process {self.pid} has not answered for {self._hang_timeout:g} s (hang_timeout), so "
            "it hangs, or is stopped"
        )

    def _restarting(self) -> EngineRestarting:
        since = time.monotonic() - self._since
        return EngineRestarting(
            f"the engine's process was lost {since:.1f} s ago, and there is no other one yet "
            f"(attempt {self._attempt}; {self._problem.rstrip('.')}). Try again in a moment, or "
            "have requests wait for it (reconnect=).",
            attempt=self._attempt,
            since=since,
        )

    def _mend(self) -> None:
        """Reach a host, in a thread."""
        while not self._stop.wait(self._delay):
            self._delay = min(max(2 * self._delay, FIRST_DELAY), LONGEST_DELAY)
            self._attempt += 1
            try:
                found = self._way.join(self._stop, self._hangs)
                self._demand_same(found)
            except Stopped:
                return
            except TrtasyncError as error:
                self._problem = str(error)
            else:
                self._found.append(found)
                if self._stop.is_set():  # whoever ends this may have looked before
                    self._drop()
                self._loop.wake_from_thread()
                return

    def _take(self) -> Joined | None:
        """The host that was reached, if nobody has taken it yet."""
        try:
            return self._found.pop()
        except IndexError:
            return None

    def _drop(self) -> None:
        """Hang up on it."""
        if (found := self._take()) is not None:
            found.close()

    def _demand_same(self, found: Joined) -> None:
        """What is served is still the model that callers know."""
        told = found.welcome.spec
        if told is None or read_spec(told) != self._spec:
            found.close()
            raise PlanError("the process that is there now serves another model: open it anew.")

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def usable(self) -> Session:
        """The session, when there is one.

        Raises:
            EngineRestarting: there was none within the patience.
            EngineClosed, WrongLoop: there will be none.
        """
        if self._is_mending and self._patience:
            self._loop.check()
            with anyio.move_on_after(self._patience):
                while self._is_mending:
                    future = self._loop.future()
                    self._waiting.append(future)
                    try:
                        await future
                    finally:
                        if future in self._waiting:
                            self._waiting.remove(future)
        if self.refusal is not None:
            raise self.refusal()
        self._loop.check()
        return self.session

    # -- the end -----------------------------------------------------------------------------

    def refuse(self) -> None:
        """Nothing is accepted any more."""
        self.refusal = lambda: EngineClosed(CLOSED)
        self.session.quick = {}
        self._is_mending = False
        self._tell()

    def hang_up(self) -> None:
        """Whoever still waits fails; no other host is looked for."""
        self._stop.set()
        self.session.end(lambda: EngineClosed(ABORTED))
        self._pulse.close()
        self._loop.close()

    def join(self) -> None:
        """Wait until nothing of it runs; in a thread."""
        if self._thread is not None:
            self._thread.join()
        self._drop()

    def let_go(self) -> None:
        """The engine was forgotten. From any thread."""
        self._stop.set()
        if not self._loop.wake_last(self._end_forgotten):
            self._end_forgotten()

    def _end_forgotten(self) -> None:
        self.hang_up()
        self._drop()

    def leave_to_parent(self) -> None:
        """In a forked child, whose copies of descriptors must not keep the parent's host."""
        self.refusal = self._loop.wrong
        self._is_mending = False
        self.session.leave_to_parent()
