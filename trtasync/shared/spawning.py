"""A host as a child process of its first client: spawned, awaited, and ended."""

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from trtasync.errors import BackendUnavailable
from trtasync.shared.hanging import OPENING, end_hanging, is_readable
from trtasync.shared.joining import GLANCE
from trtasync.shared.reaping import reaper
from trtasync.shared.refusals import restore
from trtasync.system.stopping import go_on

LOCK = 3
"""The host's descriptor that holds the lock. So nobody starts a second one beside it when who has
started it is killed."""

LAST_WORDS = 2000
"""Bytes of a host's standard error that are shown when it ends before it is ready."""

STACKS = 16_000
"""The same, when it hung."""


def start(
    log: Path, lock: int, wanted: Mapping[str, Any], stop: threading.Event, patience: float
) -> int:
    """Start a host, and wait until it can be joined.

    Args:
        log: receives its stderr.
        lock: see `locked`; the host holds it, too, until it is ready.
        wanted: its configuration.
        stop: set to give up: the host is ended then.
        patience: seconds without a sign of life after which it is taken to hang, and ended.

    Returns:
        its process, a child to be reaped (`reaping`).

    Raises:
        Stopped: because `stop` was set.
        BackendUnavailable: it could not be started, ended without a message, or hung.
        TrtasyncError: the error that it reported.
    """
    pid, told, answer = spawn(log, lock)
    try:
        with suppress(BrokenPipeError), os.fdopen(told, "wb") as stdin:
            stdin.write(json.dumps(wanted).encode())
        _demand_ready(pid, _first_line(answer, stop, patience), log, patience)
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        reaper().adopt(pid)
        raise
    finally:
        os.close(answer)
    return pid


def _demand_ready(pid: int, said: bytes | None, log: Path, patience: float) -> None:
    """End a host that hangs; and raise what `start` raises, unless this one is ready."""
    if said is None:
        end_hanging(pid)
        raise BackendUnavailable(
            f"the engine's process hung before it was ready: for {patience:g} s ({OPENING} times "
            "hang_timeout) its event loop stood still, or it was stopped. It has been ended; its "
            f"stacks, if it could still tell them: {last_words(log, STACKS)}"
        )
    try:
        word = json.loads(said)
    except ValueError:
        word = {}
    if "error" in word:
        raise restore(word)
    if "ready" not in word:
        raise BackendUnavailable(
            f"the engine's process ended before it was ready: {last_words(log)}"
        )


def spawn(log: Path, lock: int) -> tuple[int, int, int]:
    """Start a new process with this interpreter and its `sys.path`; never a fork of this one.

    Args:
        log: receives its stderr. Not this process's own stderr: whoever reads that to its end would
            wait for the host, too.
        lock: becomes its `LOCK`.

    Returns:
        its process ID, the pipe for its configuration, and the one for its answer.

    Raises:
        BackendUnavailable: it cannot be started.
        OSError: there is no space for the log.
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
    return pid, told, answer


def _first_line(answer: int, stop: threading.Event, patience: float) -> bytes | None:
    """The host's first line after its signs of life; b"" if it ends without one, None if it shows
    neither for so many seconds, of which only those count in which this process is awake."""
    said = b""
    silent = 0.0
    while not said.endswith(b"\n"):
        go_on(stop)
        if is_readable(answer, GLANCE):
            more = os.read(answer, 64 * 1024)
            if not more:
                break
            said = (said + more).lstrip(b"\n")
            silent = 0.0
        elif silent >= patience:
            return None
        else:
            silent += GLANCE
    return said


def last_words(log: Path, most: int = LAST_WORDS) -> str:
    """The end of what a host wrote to stderr.

    Args:
        log: the file.
        most: bytes.
    """
    try:
        words = log.read_bytes()[-most:].decode(errors="replace").strip()
    except OSError as error:
        words = f"({error})"
    return f"{words or 'it said nothing'} (in {log})"


def end(pid: int) -> None:
    """End a host at once, and wait until it has ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):  # it has already been waited for
        os.waitpid(pid, 0)
