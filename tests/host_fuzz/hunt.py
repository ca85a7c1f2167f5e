"""Many attackers, one after another and several at a time, and what they must not have done."""

import gc
import logging
import os
import socket
import time
from random import Random

import anyio
import anyio.lowlevel

from support.helpers import PATIENCE, opened, until
from tests.host.serving import Hosted, hosting, maps
from tests.host_fuzz.attackers import Attacker
from tests.host_fuzz.witness import Witness, model

AT_ONCE = 6
"""Attackers who are there at a time."""

MEMORY = {"bytes_per_client": 1 << 20, "total_bytes": 8 << 20}


class Hunt:
    """A host, a witness, and attackers of consecutive seeds.

    Attributes:
        records: that attackers said, as many as they meant to be.
        answered: answers of the witness that were right.
    """

    def __init__(self) -> None:
        """Nothing was said yet."""
        self.records: int = 0
        self.answered: int = 0
        self._there: list[tuple[int, Attacker]] = []

    async def run(self, seed: int, records: int) -> int:
        """Let attackers come until so many records were said; the seed that comes next.

        Args:
            seed: of the first attacker.
            records: at least.

        Raises:
            AssertionError: the host did what it must not do; the message names the attackers.
        """
        logging.getLogger("trtasync").addHandler(logging.NullHandler())  # thousands are sent away
        async with opened(model(), max_batch_size=4) as engine, hosting(engine, **MEMORY) as host:
            witness = Witness(Random(seed), host.connect())
            await witness.greet()
            gc.collect()
            before = resources(host)
            try:
                while self.records < records:
                    await self._attack(host, seed)
                    seed += 1
                    witness.ask()
                    await self._go_on()
                    with anyio.fail_after(PATIENCE):
                        await witness.hear()
                while self._there:
                    self._there.pop()[1].leave()
                await until(lambda: len(host.service.sessions) == 1)
                gc.collect()
                await until(lambda: resources(host) == before)
            except BaseException as error:
                there = [number for number, _ in self._there]
                error.add_note(f"there were attackers {there}, the last of seed {seed}")
                raise
            self.answered = witness.answered
            statistics = engine.statistics()
            assert (statistics.queued, statistics.in_flight) == (0, 0)
        return seed

    async def _attack(self, host: Hosted, seed: int) -> None:
        """One more attacker comes, perhaps in the place of another one."""
        rng = Random(seed)
        if len(self._there) >= AT_ONCE:
            self._there.pop(rng.randrange(AT_ONCE))[1].leave()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        host.service.join(theirs)
        attacker = Attacker(rng, ours)
        self._there.append((seed, attacker))
        self.records += len(attacker.said)
        for piece in attacker.pieces():
            if not attacker.send(piece):
                break
            await anyio.lowlevel.checkpoint()

    async def _go_on(self) -> None:
        """Those who are there write on and read on."""
        for _, attacker in self._there:
            attacker.scribble()
            attacker.read()
        await anyio.lowlevel.checkpoint()


def resources(host: Hosted) -> tuple[int, int, int]:
    """(open descriptors, maps of clients' memory, bytes in the books)."""
    return len(os.listdir("/proc/self/fd")), maps(), host.service._books.all.used


def hunt(seed: int, records: int, backend: str = "asyncio") -> tuple[Hunt, float]:
    """Run one; what came of it, and the seconds."""
    made, begin = Hunt(), time.monotonic()
    anyio.run(made.run, seed, records, backend=backend)
    return made, time.monotonic() - begin
