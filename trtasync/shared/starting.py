"""Starting a host: one client does it, the others wait and join."""

import fcntl
import json
import os
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trtasync.errors import BackendUnavailable, TrtasyncError
from trtasync.shared.identity import identity
from trtasync.shared.joining import Joined, NotThere, hello, join
from trtasync.shared.places import Place
from trtasync.shared.records import PROTOCOL
from trtasync.shared.refusals import restore
from trtasync.system.stopping import go_on
from trtasync.system.version import __version__

GLANCE = 0.02
"""Seconds between two looks at whether a wait was called off."""

LAST_WORDS = 2000
"""Bytes of a host's standard error that are shown when it ends before it is ready."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
"""Seconds between two starts by whomever: they double, and begin anew when none was needed for
`HEALTHY` seconds."""

HEALTHY = 60.0

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
        place: its files.
    """

    model: Path | bytes
    options: Mapping[str, Any]
    name: str
    linger: float
    place: Place = field(init=False)
    _was_there: bool = False

    def __post_init__(self) -> None:
        self.place = Place.of(identity(self.model, self.options))

    @property
    def path(self) -> Path:
        """Of the host's socket."""
        return self.place.socket

    def join(self, stop: threading.Event) -> Joined:
        """Join the host, or start it; see `link.Way.join`.

        Raises:
            TrtasyncError: what opening the model there raised, too.
        """
        reap()
        with locked(self.place.lock, stop):
            try:
                joined = join(self.path, hello())
            except NotThere:
                if self._was_there:
                    pause_between_starts(self.place.starts, stop)
                joined = self._start(stop)
        self._was_there = True
        return joined

    def _start(self, stop: threading.Event) -> Joined:
        note_start(self.place.starts)
        self.path.unlink(missing_ok=True)  # of a host that was killed
        try:
            with self._file() as model:
                start(self.place, self._wanted(model), stop)
        except TrtasyncError as error:
            try:  # one whose starter was killed meanwhile
                return join(self.path, hello())
            except NotThere:
                raise error from None
        return join(self.path, hello(logs=True))

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
            "linger": self.linger,
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
def locked(path: Path, stop: threading.Event) -> Iterator[None]:
    """Be the only one who joins, starts or ends a host of this place. A killed owner's lock is
    free at once.

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
        yield
    finally:
        os.close(descriptor)


def start(place: Place, wanted: Mapping[str, Any], stop: threading.Event) -> None:
    """Start a host, and wait until it can be joined.

    Args:
        place: its files.
        wanted: what it is to be.
        stop: set to give up: the host is ended then.

    Raises:
        Stopped: because `stop` was set.
        BackendUnavailable: it could not be started, or ended without a word.
        TrtasyncError: what it says that went wrong.
    """
    pid, told, answer = spawn(place.log)
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
            f"the engine's process ended before it was ready: {_last_words(place.log)}"
        )


def spawn(log: Path) -> tuple[int, int, int]:
    """A new process, of this interpreter and with its `sys.path`; never a fork of this one.

    Args:
        log: takes what it writes to its standard error. Not this process's own: who reads that to
            its end would wait for the host, too.

    Returns:
        its number, where it is told what to be, and where it answers.

    Raises:
        BackendUnavailable: it cannot be started.
    """
    if not sys.executable:
        raise BackendUnavailable(
            "shared=True starts another process of this Python, and sys.executable does not say "
            "where that is; run the host as a service (trtasync host), and connect() to it."
        )
    stdin, told = os.pipe()
    answer, stdout = os.pipe()
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", "trtasync.host"],
            {**os.environ, "PYTHONPATH": path},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, stdout, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.fspath(log), writing, 0o600),
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
        os.close(stdin)
        os.close(stdout)
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


def reap() -> None:
    """Take note of hosts that have ended, so that nothing is left of them."""
    for pid in list(_started):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has
            ended = pid
        if ended:
            _started.discard(pid)


def note_start(starts: Path) -> None:
    """A host is started now; only with the lock."""
    count, last = _starts(starts)
    count = count + 1 if time.time() - last < HEALTHY else 1
    starts.write_text(json.dumps([count, time.time()]))


def pause_between_starts(starts: Path, stop: threading.Event) -> None:
    """Hosts that end again and again are started more and more seldom, by whomever.

    Raises:
        Stopped: because `stop` was set.
    """
    count, last = _starts(starts)
    pause = min(FIRST_PAUSE * 2 ** min(count, 20), LONGEST_PAUSE) if count else 0.0
    stop.wait(min(max(0.0, last + pause - time.time()), LONGEST_PAUSE))
    go_on(stop)


def _starts(path: Path) -> tuple[int, float]:
    """How many starts followed one another, and when the last was (in seconds since 1970)."""
    try:
        count, last = json.loads(path.read_text())
        return int(count), float(last)
    except (OSError, ValueError, TypeError):
        return 0, 0.0
