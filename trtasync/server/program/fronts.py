"""Several fronts, each a process, over the same engines: kept running, and given orders."""

import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from socket import socket

import anyio
import msgspec
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from trtasync.errors import BackendUnavailable, TrtasyncError
from trtasync.opening.arguments import demand_linux
from trtasync.server.program.admission import Gate
from trtasync.server.program.doors import replace_door
from trtasync.server.program.front import Ready, Started
from trtasync.server.program.pulse import heard, silence
from trtasync.server.program.settings import Offer, Wanted
from trtasync.shared.hanging import OPENING
from trtasync.shared.refusals import restore

log: logging.Logger = logging.getLogger("trtasync")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
"""Seconds before a front that ended is started again: none at first, then from the first to the
longest, doubling. They begin anew after a front has run for `HEALTHY` seconds."""

HEALTHY = 60.0

LAST_SECONDS = 10.0
"""Seconds for a front to end, besides those that it may take to answer."""

LAST_WORDS = 5.0
"""Seconds for a front that hangs to write its stacks to stderr."""

LONGEST_WORD = 1 << 20


async def answer_by_several(
    wanted: Wanted, doors: Sequence[socket], orders: AsyncIterator[Offer], ready: Ready
) -> None:
    """See `front.answer`; one front for each of `doors`.

    Raises:
        TrtasyncError: the error of the first front that cannot serve.
    """
    demand_linux("serving by several workers")
    gate = Gate(wanted.server)  # so that an error in its files is told once
    fronts = [Front(number, door, wanted) for number, door in enumerate(doors, 1)]
    try:
        for front in fronts:
            await front.start()
        await ready(await _first_greeting(fronts))
        async with anyio.create_task_group() as keeping:
            for front in fronts:
                keeping.start_soon(front.keep)
            async for offer in orders:
                try:
                    gate.read_again()
                except TrtasyncError as error:
                    log.error("what was served before goes on: %s", error)
                    continue
                for front in fronts:
                    await front.tell(offer)
            keeping.cancel_scope.cancel()
    finally:
        for front in fronts:
            front.shut()  # clients that are not accepted yet may go elsewhere
        await _end(fronts, wanted.server.ending_seconds + LAST_SECONDS)


async def _first_greeting(fronts: "Sequence[Front]") -> Started:
    """Wait until all fronts can serve; return the greeting of the first. They are awaited together:
    one of them may wait for what another opens.

    Raises:
        TrtasyncError: one cannot serve.
    """
    started: dict[Front, Started] = {}
    failures: list[TrtasyncError] = []

    async def hear(front: Front) -> None:
        try:
            started[front] = await front.greeting()
        except TrtasyncError as error:
            failures.append(error)  # raised as it is, not in an exception group
            hearing.cancel_scope.cancel()

    async with anyio.create_task_group() as hearing:
        for front in fronts:
            hearing.start_soon(hear, front)
    for failure in failures:
        raise failure
    return started[fronts[0]]


async def _end(fronts: "Sequence[Front]", seconds: float) -> None:
    """Let all fronts answer what they have; kill those that do not end, or all if cancelled."""
    try:
        with anyio.move_on_after(seconds):
            for front in fronts:
                await front.let_end()
            for front in fronts:
                await front.wait()
    finally:
        with anyio.CancelScope(shield=True):
            for front in fronts:
                front.kill()
                await front.wait()


class Front:
    """A process that answers; `program.__main__` is the other side."""

    def __init__(self, number: int, door: socket, wanted: Wanted):
        """Not started yet.

        Args:
            number: its number, for people.
            door: the socket that it is to listen at.
            wanted: what it is to serve.
        """
        self._number = number
        self._door = door
        self._wanted = wanted
        self._process: Process | None = None
        self._since = 0.0
        self._pause = 0.0

    async def start(self) -> None:
        """Start it, with this interpreter and this `sys.path`. Ctrl-C does not reach it."""
        door = self._door.fileno()
        self._since = time.monotonic()
        self._process = await anyio.open_process(
            [sys.executable, "-P", "-m", "trtasync.server.program", str(door)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            env=_environment(),
            pass_fds=[door],
            start_new_session=True,
        )
        await self._say(self._wanted)

    async def greeting(self) -> Started:
        """Wait until clients can come; return what it says then. It is ended if it hangs before.

        Raises:
            TrtasyncError: it cannot serve.
        """
        patience = OPENING * self._patience
        assert self._process is not None
        assert self._process.stdout is not None
        words = BufferedByteReceiveStream(self._process.stdout)
        receive = partial(words.receive_until, b"\n", LONGEST_WORD)
        word: bytes | None = b""
        try:
            while word == b"":  # signs of life come before
                word = await heard(receive, patience)
        except (anyio.IncompleteRead, anyio.BrokenResourceError, anyio.DelimiterNotFound) as error:
            raise BackendUnavailable(
                f"worker {self._number} ended before it could serve; the log says why."
            ) from error
        if word is None:
            await self._end_hanging(patience)
            raise BackendUnavailable(
                f"worker {self._number} hung before it could serve; the log says where."
            )
        told = json.loads(word)
        if "error" in told:
            raise restore(told)
        return Started(**told)

    async def tell(self, offer: Offer) -> None:
        """Let it, and any front that takes its place, offer this from now on."""
        self._wanted = Wanted(self._wanted.server, offer)
        await self._say(offer)

    async def _say(self, word: Wanted | Offer) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # it has ended
            await self._process.stdin.send(msgspec.json.encode(word) + b"\n")

    async def keep(self) -> None:
        """Start it again whenever it ends, and end it when it hangs, for ever.

        Clients that wait to be accepted meanwhile are left to the next one or, if that cannot
        serve, to the other fronts.
        """
        while True:
            async with anyio.create_task_group() as watching:
                watching.start_soon(self._watch)
                code = await self.wait()
                watching.cancel_scope.cancel()
            why = signal.Signals(-code).name if code < 0 else f"code {code}"
            log.error("worker %d ended with %s; another one is started", self._number, why)
            if time.monotonic() - self._since > HEALTHY:
                self._pause = 0.0
            await anyio.sleep(self._pause)
            self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
            try:
                await self.start()
                await self.greeting()
            except (TrtasyncError, OSError) as error:
                log.error("worker %d cannot serve: %s", self._number, error)
                self._door = replace_door(self._door)

    async def _watch(self) -> None:
        """End it when its event loop stands still, of which silence is the only sign."""
        assert self._process is not None
        assert self._process.stdout is not None
        await silence(self._process.stdout, self._patience)
        await self._end_hanging(self._patience)

    @property
    def _patience(self) -> float:
        """Seconds of silence after which it is taken to hang; inf for never."""
        return self._wanted.server.hang_seconds or math.inf

    async def _end_hanging(self, silent: float) -> None:
        """Have it write its stacks, and kill it, after this many seconds of silence."""
        assert self._process is not None
        log.error(
            "worker %d (process %d) hangs: its event loop has stood still for %g s (--hang-timeout)"
            ", or it is stopped; it is ended. Its stacks, if it can still tell them:",
            self._number,
            self._process.pid,
            silent,
        )
        self._send(signal.SIGABRT)  # see `daemon.log_to_stderr`
        with anyio.move_on_after(LAST_WORDS):
            await self.wait()
        self.kill()

    def shut(self) -> None:
        """Close its door in this process, so that no more clients wait for it."""
        self._door.close()

    async def let_end(self) -> None:
        """Let it answer what it has, and end: its stdin is closed."""
        if self._process is not None and self._process.stdin is not None:
            await self._process.stdin.aclose()

    async def wait(self) -> int:
        """Wait until it has ended; return its exit code."""
        return 0 if self._process is None else await self._process.wait()

    def kill(self) -> None:
        """End it now."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


def _environment() -> dict[str, str]:
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)
    return {**os.environ, "PYTHONPATH": path}
