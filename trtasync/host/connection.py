"""A client's socket: records come in, and what is said goes out, once per turn of the loop."""

import os
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import CMSG_SPACE, MSG_CMSG_CLOEXEC, MSG_CTRUNC, SCM_RIGHTS, SOL_SOCKET, socket

import numpy as np

from trtasync.loops import EventLoop
from trtasync.shared.records import MOST_PAYLOAD, RECORD, SIZE, Nonsense, Op, Record

READ_BYTES = 64 * 1024

MOST_DESCRIPTORS = 16
"""That come with one message, or wait for their records."""

INFER = int(Op.INFER)

Act = Callable[[Record, bytes], object]
Infer = Callable[[int, int, int, int, int], object]


class Connection:
    """See the module's docstring.

    Attributes:
        infer: what is done with an `INFER`: its flag, form, slot, generation and number.
        acts: what is done with another record, by its operation; the rest is nonsense.
    """

    def __init__(
        self,
        connection: socket,
        loop: EventLoop,
        most_unsent: int,
        waiting: "list[Connection]",
        over: Callable[[Exception | None], None],
    ):
        """Begin to listen.

        Args:
            connection: non-blocking; closed with this.
            loop: looks at it.
            most_unsent: bytes that wait for the other side to read, from which on it is not read.
            waiting: where a connection puts itself that has something to say; the loop's callback
                empties the list, and calls `flush`.
            over: called once when the other side has gone, or said what nobody says.
        """
        self._socket = connection
        self._most_unsent = most_unsent
        self._waiting = waiting
        self.infer: Infer = _too_early
        self.acts: Mapping[int, Act] = {}
        self._over = over
        self._data = b""
        self._descriptors: deque[int] = deque()
        self._out: list[bytes] = []
        self._unsent = bytearray()
        self._held_up = False
        self._closed = False
        self._loop = loop
        self._watch = loop.watch(connection, self._readable)

    # -- in --------------------------------------------------------------------------------------

    def descriptor(self) -> int:
        """The next that came; the caller's from now on.

        Raises:
            Nonsense: none did.
        """
        if not self._descriptors:
            raise Nonsense("memory was announced, and no file descriptor came along.")
        return self._descriptors.popleft()

    def hold_up(self) -> None:
        """Hear nothing more, not even what was read already, until `go_on`."""
        self._held_up = True
        self._look()

    def go_on(self) -> None:
        """Hear what waits, and what comes."""
        self._held_up = False
        self._hear()
        self._look()

    def _look(self) -> None:
        if not self._closed:
            busy = self._held_up or len(self._unsent) > self._most_unsent
            self._watch.when_readable(None if busy else self._readable)

    def _readable(self) -> None:
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(READ_BYTES, _ROOM, _CLOSED_BY_EXEC)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, ancillary, flags = b"", [], 0
        for level, kind, content in ancillary:
            if level == SOL_SOCKET and kind == SCM_RIGHTS:
                whole = content[: len(content) // 4 * 4]
                self._descriptors.extend(map(int, np.frombuffer(whole, np.int32)))
        try:
            if flags & _CUT_OFF or len(self._descriptors) > MOST_DESCRIPTORS:
                raise Nonsense("more file descriptors came than anybody sends.")
            if not data:
                self._over(None)
                return
        except Nonsense as error:
            self._over(error)
            return
        self._data = self._data + data if self._data else data
        self._hear()

    def _hear(self) -> None:
        """Do what whole records say, until there is none, or no more is to be heard for now."""
        data, at, end = self._data, 0, len(self._data)
        unpack, infer = RECORD.unpack_from, self.infer
        try:
            while at + SIZE <= end and not self._held_up:
                op, flag, form, slot, generation, size, number, _ = record = unpack(data, at)
                if op == INFER and not size:
                    infer(flag, form, slot, generation, number)
                    at += SIZE
                    continue
                if size > MOST_PAYLOAD:
                    raise Nonsense(f"a payload of {size} bytes; at most {MOST_PAYLOAD}.")
                behind = at + SIZE + size
                if behind > end:
                    break
                act = self.acts.get(op)
                if act is None:
                    raise Nonsense(f"nobody says {op} here.")
                act(Record._make(record), data[at + SIZE : behind])
                infer, at = self.infer, behind
        except Exception as error:
            self._over(error)
        self._data = b"" if self._closed else data[at:]
        if self._out:  # what is said elsewhere is said while engines are pumped, who flush
            self._loop.wake()

    # -- out -------------------------------------------------------------------------------------

    def say(self, record: bytes) -> None:
        """Send it with whatever else is said in this turn."""
        if not self._out:
            self._waiting.append(self)
        self._out.append(record)

    def flush(self) -> None:
        """Send what was said. Raises nothing: the engine would end with it."""
        try:
            data = b"".join(self._out)
            self._out.clear()
            if self._closed:
                return
            if self._unsent:
                self._unsent += data
            else:
                self._send(data)
            if len(self._unsent) > self._most_unsent:
                self._look()
        except Exception as error:
            self._over(error)

    def _send(self, data: bytes | bytearray) -> None:
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:  # it has gone
            self._over(None)
            return
        if sent < len(data):
            if not self._unsent:
                self._watch.when_writable(self._writable)
            self._unsent = bytearray(data[sent:])
        elif self._unsent:
            self._unsent = bytearray()
            self._watch.when_writable(None)

    def _writable(self) -> None:
        busy = len(self._unsent) > self._most_unsent
        self._send(self._unsent)
        if busy and not self._closed:
            self._look()

    @property
    def unsent(self) -> int:
        """Bytes that the other side has not taken yet."""
        return len(self._unsent) + sum(map(len, self._out))

    def close(self) -> None:
        """Say what can be said at once, and end."""
        if self._closed:
            return
        self._closed = True
        self._watch.close()
        last = bytes(self._unsent) + b"".join(self._out)
        self._out.clear()
        self._unsent = bytearray()
        with suppress(OSError):
            self._socket.send(last)
        self._socket.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())
        self._data = b""
        # whoever is told holds this: a cycle, in which a client's memory would wait
        self.infer, self.acts = _too_early, {}
        self._over = _tell_nobody


def _too_early(flag: int, form: int, slot: int, generation: int, number: int) -> None:
    """Before a client has greeted.

    Raises:
        Nonsense: in any case.
    """
    raise Nonsense(f"nobody says {INFER} here.")


def _tell_nobody(_: object) -> None:
    """After the end."""


_ROOM = CMSG_SPACE(4 * MOST_DESCRIPTORS)

# as plain numbers: `&` with a member of an enum takes as long as reading the socket
_CLOSED_BY_EXEC, _CUT_OFF = int(MSG_CMSG_CLOEXEC), int(MSG_CTRUNC)
