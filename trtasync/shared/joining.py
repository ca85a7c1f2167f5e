"""Joining a host that is there: a connection, and what both sides say of themselves."""

import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtasync.errors import BackendUnavailable
from trtasync.shared.greeting import Hello, Welcome, read, tell
from trtasync.shared.peers import check_host, credentials
from trtasync.shared.records import (
    MOST_PAYLOAD,
    PROTOCOL,
    RECORD,
    SIZE,
    Nonsense,
    Op,
    Record,
    dump,
    pack,
    parse,
)
from trtasync.shared.refusals import restore
from trtasync.system.stopping import Stopped, go_on
from trtasync.system.version import __version__

PATIENCE = 10.0
"""Seconds in which a host that listens has to greet."""

GLANCE = 0.02
"""Seconds between two looks at whether a wait was called off."""


class NotThere(BackendUnavailable):
    """Nobody listens, or not any more."""


class Silent(BackendUnavailable):
    """Somebody listens, and says nothing.

    Attributes:
        pid: the process; 0 if it is in another container.
    """

    pid: int = 0


class Line:
    """A blocking connection, for what is asked and answered one after the other."""

    def __init__(self, path: Path, seconds: float = PATIENCE, stop: threading.Event | None = None):
        """Connect.

        Args:
            path: of the host's socket.
            seconds: that each word may take.
            stop: set to give up.

        Raises:
            Stopped: because `stop` was set.
            NotThere: nobody listens.
            BackendUnavailable: somebody does, and does not let this user in, or not in time.
        """
        self._path = path
        self._seconds = seconds
        self._stop = stop or threading.Event()
        try:
            self.end: socket.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:  # there are no more descriptors
            raise self._failure(error) from error
        self.end.settimeout(GLANCE)
        try:
            self._connect()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            self.end.close()
            raise NotThere(f"no engine process listens at {path}.") from error
        except OSError as error:
            self.end.close()
            raise self._failure(error) from error
        except Stopped:
            self.end.close()
            raise

    def _connect(self) -> None:
        end = time.monotonic() + self._seconds
        while True:
            try:
                self.end.connect(os.fspath(self._path))
                return
            except BlockingIOError as error:  # as many wait to be let in as may wait
                if time.monotonic() >= end:
                    raise TimeoutError("too many processes wait to be let in") from error
                self._stop.wait(GLANCE)
                go_on(self._stop)

    def say(self, op: Op, payload: dict[str, Any] | None = None) -> None:
        """One record.

        Raises:
            BackendUnavailable: nobody takes it.
        """
        try:
            self.end.sendall(pack(op, payload=b"" if payload is None else dump(payload)))
        except OSError as error:
            raise self._failure(error) from error

    def hear(self, op: Op) -> dict[str, Any]:
        """The payload of the answer.

        Raises:
            BackendUnavailable: there is none, or none that this version understands.
            TrtasyncError: the host refuses.
        """
        try:
            record = Record._make(RECORD.unpack(self._read(SIZE)))
            told = parse(self._read(record.size))
        except (OSError, Nonsense) as error:
            raise self._failure(error) from error
        if record.op == Op.GONE:
            raise restore(told)
        if record.op != op:
            raise self._failure(f"it said {record.op} for {op.name}")
        return told

    def _read(self, size: int) -> bytes:
        """So many bytes and none of what follows."""
        if size > MOST_PAYLOAD:
            raise Nonsense(f"a payload of {size} bytes")
        data = b""
        while len(data) < size:
            more = self._receive(size - len(data))
            if not more:
                raise ConnectionResetError("it hung up")
            data += more
        return data

    def _receive(self, most: int) -> bytes:
        """Wait, for seconds in which this process is awake: a glance counts, however late it is."""
        for _ in range(max(1, round(self._seconds / GLANCE))):
            try:
                return self.end.recv(most)
            except TimeoutError:
                go_on(self._stop)
        pid, _ = credentials(self.end)
        raise Silent(
            f"the engine process at {self._path} (process {pid}) cannot be talked to: it has said "
            f"nothing for {self._seconds:g} s, so it is stopped or hangs.",
            pid=pid,
        )

    def greet(self, hello: Hello) -> Welcome:
        """Say who this is.

        Raises:
            BackendUnavailable: the host is of another version, or says nothing.
            TrtasyncError: it refuses.
        """
        self.say(Op.HELLO, tell(hello))
        try:
            welcome = read(Welcome, self.hear(Op.WELCOME))
        except Nonsense as error:
            raise self._failure(error) from error
        if (welcome.protocol, welcome.version) != (PROTOCOL, __version__):
            raise BackendUnavailable(
                f"the engine process at {self._path} is of trtasync {welcome.version} (protocol "
                f"{welcome.protocol}), and this is {__version__} (protocol {PROTOCOL}): "
                "end what still uses the other version, or install the same one."
            )
        return welcome

    def _failure(self, why: object) -> BackendUnavailable:
        if isinstance(why, (ConnectionResetError, BrokenPipeError)):
            return NotThere(f"the engine process at {self._path} hung up: it is ending.")
        return BackendUnavailable(f"the engine process at {self._path} cannot be talked to: {why}.")

    def close(self) -> None:
        """Hang up."""
        self.end.close()


@dataclass(frozen=True, slots=True)
class Joined:
    """A connection past the greeting.

    Attributes:
        end: the socket.
        welcome: what the host said.
    """

    end: socket.socket
    welcome: Welcome

    def close(self) -> None:
        """Hang up."""
        self.end.close()


def hello(model: str | None = None, *, observer: bool = False, logs: bool = False) -> Hello:
    """What this process says first."""
    return Hello(__version__, os.getpid(), model, observer, logs)


def join(
    path: Path, said: Hello, stop: threading.Event | None = None, seconds: float = PATIENCE
) -> Joined:
    """Connect and greet; blocks.

    Args:
        path: of the host's socket.
        said: of this process.
        stop: set to give up.
        seconds: for the host to greet.

    Raises:
        Stopped: because `stop` was set.
        NotThere: nobody listens.
        Silent: somebody does, and says nothing.
        BackendUnavailable: somebody else does, or it cannot be talked to.
        TrtasyncError: the host refuses.
    """
    line = Line(path, seconds, stop)
    try:
        check_host(credentials(line.end)[1], path)
        return Joined(line.end, line.greet(said))
    except BaseException:
        line.close()
        raise
