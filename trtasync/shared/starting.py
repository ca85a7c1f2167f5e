"""Starting a host: one client does it, the others wait and join."""

import fcntl
import json
import os
import select
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trtasync.errors import BackendUnavailable, PlanError
from trtasync.shared.identity import identity
from trtasync.shared.joining import GLANCE, Joined, NotThere, hello, join
from trtasync.shared.pauses import note_start, pause_between_starts
from trtasync.shared.places import VARIABLE, Place, runtime_folder
from trtasync.shared.records import PROTOCOL
from trtasync.shared.refusals import restore
from trtasync.system.stopping import go_on
from trtasync.system.version import __version__

LOCK = 3
"""The host's descriptor that holds the lock. So nobody starts a second one beside it when who has
started it is killed."""

LAST_WORDS = 2000
"""Bytes of a host's standard error that are shown when it ends before it is ready."""

_started: set[int] = set()
"""Hosts that are this process's children, until they are seen to have ended."""


@dataclass(slots=True)
class Started:
    """A host that is started by the first of its clients; see `link.Way`.

    Attributes:
        model: a file, or what is in it.
        options: plain data; see `opening.plain`.
        name: what the engine is called.
        linger: seconds that the host stays when nobody is left.
        traces: what exports its spans; None: it traces nothing.
        identity: of the engine.
        place: its files.
    """

    model: Path | bytes
    options: Mapping[str, Any]
    name: str
    linger: float
    traces: str | None = None
    identity: str = field(init=False)
    place: Place = field(init=False)
    _was_there: bool = False

    def __post_init__(self) -> None:
        self.identity = self._identity()
        self.place = Place.of(self.identity)

    @property
    def path(self) -> Path:
        """Of the host's socket."""
        return self.place.socket

    def join(self, stop: threading.Event) -> Joined:
        """Join the host, or start it; see `link.Way.join`.

        Raises:
            PlanError: the model's file is another one by now.
            BackendUnavailable: the system lacks something that this needs.
            TrtasyncError: what opening the model there raised, too.
        """
        reap()
        try:
            runtime_folder()  # who tidies up may have taken it away
            with locked(self.place.lock, stop) as lock:
                joined = self._join(lock, stop)
        except OSError as error:
            raise BackendUnavailable(
                f"the engine's process can neither be joined nor started: {error}; its files lie "
                f"in {self.path.parent}, and {VARIABLE} names another folder."
            ) from error
        self._was_there = True
        return joined

    def _join(self, lock: int, stop: threading.Event) -> Joined:
        try:
            return join(self.path, hello(), stop)
        except NotThere:
            if self._was_there:
                pause_between_starts(self.place.starts, stop)
                self._demand_same()
            self._start(lock, stop)
            return join(self.path, hello(logs=True), stop)

    def _start(self, lock: int, stop: threading.Event) -> None:
        note_start(self.place.starts)
        self.path.unlink(missing_ok=True)  # of a host that was killed
        with self._file() as model:
            pid = start(self.place.log, lock, self._wanted(model), stop)
        try:
            self._demand_same()  # nobody else joins it before: this has the lock
        except BaseException:
            end(pid)
            raise

    def _demand_same(self) -> None:
        """The file is still the model that is meant: a host serves what it finds there.

        Raises:
            PlanError: it is another one, or gone.
        """
        if self._identity() != self.identity:
            raise PlanError(
                f"the model of {self.name!r}, or what GPUs are to be seen, is not what it was when "
                "this engine was opened: open it anew."
            )

    def _identity(self) -> str:
        return identity(self.model, {**self.options, "traces": self.traces})

    def _file(self) -> AbstractContextManager[Path]:
        return nullcontext(self.model) if isinstance(self.model, Path) else _kept(self.model)

    def _wanted(self, model: Path) -> dict[str, Any]:
        """What the host is told to be."""
        opened = {"name": self.name, "model": str(model), "options": self.options}
        return {
            "protocol": PROTOCOL,
            "version": __version__,
            "socket": str(self.path),
            "lock": str(self.place.lock),
            "holds": LOCK,
            "linger": self.linger,
            "traces": self.traces,
            "models": [opened],
        }


@contextmanager
def _kept(model: bytes) -> Iterator[Path]:
    """A file for a model in memory, until the host has read it."""
    with tempfile.TemporaryDirectory(prefix="trtasync-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        yield path


@contextmanager
def locked(path: Path, stop: threading.Event) -> Iterator[int]:
    """Be the only one who joins, starts or ends a host of this place. A killed owner's lock is
    free at once, or when the host that it was starting is ready.

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


def start(log: Path, lock: int, wanted: Mapping[str, Any], stop: threading.Event) -> int:
    """Start a host, and wait until it can be joined.

    Args:
        log: takes what it writes to its standard error.
        lock: see `locked`; the host holds it, too, until it is ready.
        wanted: what it is to be.
        stop: set to give up: the host is ended then.

    Returns:
        its process.

    Raises:
        Stopped: because `stop` was set.
        BackendUnavailable: it could not be started, or ended without a word.
        TrtasyncError: what it says that went wrong.
    """
    pid, told, answer = spawn(log, lock)
    try:
        with suppress(BrokenPipeError), os.fdopen(told, "wb") as stdin:
            stdin.write(json.dumps(wanted).encode())
        said = _first_line(answer, stop)
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        raise
    finally:
        os.close(answer)
    try:
        word = json.loads(said)
    except ValueError:
        word = {}
    if "error" in word:
        raise restore(word)
    if "ready" not in word:
        raise BackendUnavailable(
            f"the engine's process ended before it was ready: {_last_words(log)}"
        )
    return pid


def spawn(log: Path, lock: int) -> tuple[int, int, int]:
    """A new process, of this interpreter and with its `sys.path`; never a fork of this one.

    Args:
        log: takes what it writes to its standard error. Not this process's own: who reads that to
            its end would wait for the host, too.
        lock: becomes its `LOCK`.

    Returns:
        its number, where it is told what to be, and where it answers.

    Raises:
        BackendUnavailable: it cannot be started.
        OSError: there is no room for the log.
    """
    if not sys.executable:
        raise BackendUnavailable(
            "shared=True starts another process of this Python, and sys.executable does not say "
            "where that is; run the host as a service (trtasync host), and connect() to it."
        )
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    stderr = os.open(log, writing, 0o600)
    stdin, told = os.pipe()
    answer, stdout = os.pipe()
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", "trtasync.host"],
            {**os.environ, "PYTHONPATH": path},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, stdout, 1),
                (os.POSIX_SPAWN_DUP2, stderr, 2),
                (os.POSIX_SPAWN_DUP2, lock, LOCK),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM),
        )
    except OSError as error:
        os.close(told)
        os.close(answer)
        raise BackendUnavailable(f"the engine's process cannot be started: {error}.") from error
    finally:
        for theirs in (stdin, stdout, stderr):
            os.close(theirs)
    _started.add(pid)
    return pid, told, answer


def _first_line(answer: int, stop: threading.Event) -> bytes:
    """What the host says first; b"" if it ends without a word."""
    said = b""
    while not said.endswith(b"\n"):
        go_on(stop)
        ready, _, _ = select.select([answer], [], [], GLANCE)
        if ready:
            more = os.read(answer, 64 * 1024)
            if not more:
                break
            said += more
    return said


def _last_words(log: Path) -> str:
    try:
        words = log.read_bytes()[-LAST_WORDS:].decode(errors="replace").strip()
    except OSError as error:
        words = f"({error})"
    return f"{words or 'it said nothing'} (in {log})"


def end(pid: int) -> None:
    """End a host at once, and wait until it has ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):  # somebody else has waited for it
        os.waitpid(pid, 0)
    _started.discard(pid)


def reap() -> None:
    """Take note of hosts that have ended, so that nothing is left of them."""
    for pid in list(_started):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has
            ended = pid
        if ended:
            _started.discard(pid)
