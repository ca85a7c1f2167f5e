"""Starting a host: one client does it, the others wait and join."""

import fcntl
import logging
import math
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trtasync.errors import BackendUnavailable, PlanError
from trtasync.shared.hanging import OPENING, end_hanging
from trtasync.shared.identity import identity
from trtasync.shared.joining import GLANCE, PATIENCE, Joined, NotThere, Silent, hello, join
from trtasync.shared.pauses import note_start, pause_between_starts
from trtasync.shared.places import VARIABLE, Place, runtime_folder
from trtasync.shared.reaping import reaper
from trtasync.shared.records import PROTOCOL
from trtasync.shared.spawning import LOCK, STACKS, end, last_words, start
from trtasync.system.stopping import go_on
from trtasync.system.version import __version__

log: logging.Logger = logging.getLogger("trtasync")


@dataclass(slots=True)
class Started:
    """A host started by the first of its clients; see `link.Way`.

    Attributes:
        model: a file, or its content.
        options: plain data; see `opening.plain`.
        name: what the engine is called.
        linger: seconds that the host stays after the last client has left.
        traces: the exporter of its spans; None for no tracing.
        hang_timeout: seconds of silence after which it is ended; inf for never.
        identity: of the engine.
        place: its files.
    """

    model: Path | bytes
    options: Mapping[str, Any]
    name: str
    linger: float
    traces: str | None = None
    hang_timeout: float = math.inf
    identity: str = field(init=False)
    place: Place = field(init=False)
    _was_there: bool = False

    def __post_init__(self) -> None:
        self.identity = self._identity()
        self.place = Place.of(self.identity)

    @property
    def path(self) -> Path:
        """The path of the host's socket."""
        return self.place.socket

    def join(self, stop: threading.Event, hangs: bool = False) -> Joined:
        """Join the host, or start it, or replace a hanging one; see `link.Way.join`.

        Raises:
            PlanError: the model's file has changed.
            BackendUnavailable: the system lacks something that this needs.
            TrtasyncError: whatever opening the model there raised.
        """
        try:
            runtime_folder()  # a clean-up job may have removed it
            with locked(self.place.lock, stop) as lock:
                joined = self._join(lock, stop, hangs)
        except OSError as error:
            raise BackendUnavailable(
                f"the engine's process can neither be joined nor started: {error}; its files are "
                f"in {self.path.parent}; {VARIABLE} can name another folder."
            ) from error
        self._was_there = True
        return joined

    def _join(self, lock: int, stop: threading.Event, hangs: bool) -> Joined:
        try:
            return join(self.path, hello(), stop, self._patience(hangs))
        except Silent as silent:
            if self.hang_timeout == math.inf:
                raise
            self._end(silent)
        except NotThere:
            pass
        if self._was_there:
            pause_between_starts(self.place.starts, stop)
            self._demand_same()
        self._start(lock, stop)
        return join(self.path, hello(logs=True), stop)

    def _patience(self, hangs: bool) -> float:
        """Seconds for the host to greet; if it was found hanging, we have already waited."""
        known = hangs or self.hang_timeout == math.inf
        return PATIENCE if known else max(PATIENCE, self.hang_timeout)

    def _end(self, silent: Silent) -> None:
        """End a hanging host. Nobody starts another one meanwhile: this has the lock."""
        log.error("%s It is ended, and another one is started", silent)
        try:
            end_hanging(silent.pid)
        except OSError as error:
            raise BackendUnavailable(
                f"{str(silent).rstrip('.')}, and it cannot be ended: {error}; end process "
                f"{silent.pid} yourself."
            ) from error
        log.error(
            "what that wrote last, its stacks if it could still tell them: %s",
            last_words(self.place.log, STACKS),
        )

    def _start(self, lock: int, stop: threading.Event) -> None:
        note_start(self.place.starts)
        self.path.unlink(missing_ok=True)  # left by a killed host
        with self._file() as model:
            patience = OPENING * self.hang_timeout
            pid = start(self.place.log, lock, self._wanted(model), stop, patience)
        try:
            self._demand_same()  # nobody else can join it before: this has the lock
        except BaseException:
            end(pid)
            raise
        reaper().adopt(pid)

    def _demand_same(self) -> None:
        """Demand that the file is still the intended model: a host serves what it finds there.

        Raises:
            PlanError: it has changed, or is gone.
        """
        if self._identity() != self.identity:
            raise PlanError(
                f"the model of {self.name!r}, or the set of visible GPUs, has changed since this "
                "engine was opened: open it again."
            )

    def _identity(self) -> str:
        return identity(self.model, {**self.options, "traces": self.traces})

    def _file(self) -> AbstractContextManager[Path]:
        return nullcontext(self.model) if isinstance(self.model, Path) else _kept(self.model)

    def _wanted(self, model: Path) -> dict[str, Any]:
        """The host's configuration."""
        opened = {"name": self.name, "model": str(model), "options": self.options}
        return {
            "protocol": PROTOCOL,
            "version": __version__,
            "socket": str(self.path),
            "lock": str(self.place.lock),
            "holds": LOCK,
            "linger": self.linger,
            "hang_timeout": self.hang_timeout,
            "traces": self.traces,
            "models": [opened],
        }


@contextmanager
def _kept(model: bytes) -> Iterator[Path]:
    """A temporary file for a model in memory, until the host has read it."""
    with tempfile.TemporaryDirectory(prefix="trtasync-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        yield path


@contextmanager
def locked(path: Path, stop: threading.Event) -> Iterator[int]:
    """Be the only one that joins, starts or ends a host at this place. A killed owner's lock is
    released at once, or when the host that it was starting is ready.

    Yields:
        the descriptor that holds it.

    Raises:
        Stopped: because `stop` was set.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stop.wait(GLANCE)
                go_on(stop)
        yield descriptor
    finally:
        os.close(descriptor)
