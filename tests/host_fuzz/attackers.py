"""Clients that say anything: records that are nearly right, in no order, cut and mutated."""

import os
import socket
from array import array
from collections.abc import Callable
from contextlib import suppress
from random import Random

import numpy as np

from support.wire import form, hello, infer, source
from trtasync.shared.arena import make_segment
from trtasync.shared.records import MOST_PAYLOAD, NEVER, RECORD, SIZE, Op, pack

SLOTS = 8
"""That an attacker shares at a time."""

CAREFUL = (1.0, 0.999, 0.99, 0.95, 0.8, 0.3)
"""How often an attacker means what it says: so that some live long, and others do not."""

JSON = (b"", b"{}", b"[]", b"null", b"{", b'{"shapes":[[1e400]]}', b"[" * 3000, b"\xff" * 40)


class Attacker:
    """One connection, its words, and the memory that it goes on writing to.

    Attributes:
        said: records; what is sent of them is mutated.
        descriptors: that go along.
    """

    def __init__(self, rng: Random, end: socket.socket):
        """Think up what is to be said.

        Args:
            rng: everything follows from it.
            end: the connection.
        """
        end.setblocking(False)
        self._rng = rng
        self._end = end
        self._careful = rng.choice(CAREFUL)
        self._slots = self._used = 0
        self._generations: dict[int, int] = {}
        self.descriptors: list[int] = []
        self._memory: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
        self.said: list[bytes] = self._opening()
        for _ in range(rng.randrange(60)):
            if word := rng.choices(*_kinds(self))[0]():
                self.said.append(word)

    # -- what it says ----------------------------------------------------------------------------

    def _means_it(self) -> bool:
        return self._rng.random() < self._careful

    def _opening(self) -> list[bytes]:
        if self._rng.random() < 0.05:
            return []
        fields: dict[str, object] = {}
        if not self._means_it():
            fields = {self._rng.choice(["version", "pid", "protocol", "logs"]): self._odd()}
        observer = {"observer": True} if self._rng.random() < 0.05 else {}
        said = [hello(**fields, **observer)]  # type: ignore[arg-type] # odd ones
        return [*said, self.memory(), self.form(0), self.form(1)]

    def _odd(self) -> object:
        return self._rng.choice([None, -1, 2**70, "", "x" * 1000, [], {}, 1.5, True])

    def _number(self, sane: int, bits: int = 32) -> int:
        """Below `sane`, or one that nobody means."""
        if self._means_it():
            return self._rng.randrange(max(1, sane))
        edges = [0, 1, sane - 1, sane, sane + 1, 2**31, 2 ** (bits - 1), 2**bits - 1]
        return int(self._rng.choice([*edges, self._rng.randrange(2**bits)]) % 2**bits)

    def form(self, number: int | None = None) -> bytes:
        """Shapes, mostly of the model."""
        rng = self._rng
        known = self._number(4, 16) if number is None else number
        if not self._means_it():
            if rng.random() < 0.5:
                return pack(Op.FORM, form=known, payload=rng.choice(JSON))
            shape = [self._number(5, 40) for _ in range(rng.randrange(5))]
            return form(known, *[shape] * rng.randrange(4), single=rng.random() < 0.5)
        rows = rng.choice([(), (1,), (3,)])
        return form(known, (*rows, rng.choice([1, 4, 33])), (*rows, 4), single=False)

    def memory(self) -> bytes:
        """Slots, and a descriptor that may be of something else."""
        rng = self._rng
        slot_bytes = 1024 if self._means_it() else rng.choice([128, 256, self._number(4096, 48)])
        if self._means_it():
            segment = make_segment(0, 1024, SLOTS)
            self.descriptors.append(segment.descriptor)
            self._memory.append(segment.memory)
        elif rng.random() < 0.5:
            self.descriptors.append(os.open(rng.choice(["/dev/zero", "/dev/null"]), os.O_RDWR))
        slots = SLOTS if self._means_it() else self._number(SLOTS, 64)
        said = pack(Op.MEMORY, self._slots, number=slots, other=slot_bytes)
        self._slots += SLOTS
        return said

    def _slot(self) -> int:
        return self._number(self._slots)

    def infer(self) -> bytes:
        """A request, perhaps in a slot that has one."""
        if not self._means_it():
            return self._infer(self._slot())
        more, slot = self._unused()
        return more + self._infer(slot)

    def _unused(self) -> tuple[bytes, int]:
        """A slot that was not used yet, and what makes it one."""
        more = self.memory() if self._used >= self._slots else b""
        self._used += 1
        return more, self._used - 1

    def _infer(self, slot: int) -> bytes:
        self._generations[slot] = self._number(3)
        level = self._number(10, 8)
        deadline = NEVER if self._means_it() else self._number(2**40, 64)
        known = self._number(2, 16)
        return infer(slot, known, self._generations[slot], priority=level, deadline=deadline)

    def elsewhere(self) -> bytes:
        """A request whose inputs lie in other slots."""
        more, lies = self._unused()
        said = [more]
        for index in range(2 if self._means_it() else self._rng.randrange(4)):
            slot = lies if self._means_it() else self._slot()
            said.append(
                source(index if self._means_it() else self._number(2, 16), slot, self._place())
            )
        return b"".join(said) + (self.infer() if self._means_it() else b"")

    def _place(self) -> int:
        return 64 * self._number(3, 58)

    def cancel(self) -> bytes:
        """A request that there was, or another."""
        slot = self._slot()
        return pack(Op.CANCEL, slot, self._generations.get(slot, 0))

    def take(self) -> bytes:
        """An answer that was none, most probably."""
        if self._means_it():
            return b""
        slot = self._slot()
        return pack(Op.TAKE, slot, self._generations.get(slot, 0), number=self._slot())

    def ask(self) -> bytes:
        """For statistics, perhaps before the last are here."""
        return b"" if self._means_it() else pack(Op.ASK)

    def anything(self) -> bytes:
        """A record of any numbers, and perhaps a payload."""
        rng = self._rng
        if self._means_it():
            return b""
        payload = rng.randbytes(rng.randrange(64)) if rng.random() < 0.5 else b""
        size = len(payload) if rng.random() < 0.8 else self._number(MOST_PAYLOAD + 2)
        numbers = [self._number(256, 8) for _ in range(2)], [self._number(9) for _ in range(2)]
        (op, flag), (slot, generation) = numbers
        known, number, other = self._number(9, 16), self._number(9, 64), self._number(9, 64)
        return RECORD.pack(op, flag, known, slot, generation, size, number, other) + payload

    # -- how it says it --------------------------------------------------------------------------

    def words(self) -> bytes:
        """All that it says, mutated."""
        rng, said = self._rng, self.said
        if not self._means_it():
            rng.shuffle(said)
        if said and not self._means_it():
            said.append(rng.choice(said))
        words = bytearray(b"".join(said))
        while words and not self._means_it():
            if rng.random() < 0.3:
                del words[rng.randrange(len(words)) :]
            elif rng.random() < 0.3:
                at = rng.randrange(len(words))
                words[at:at] = rng.randbytes(rng.choice([1, 3, SIZE]))
            elif rng.random() < 0.5:
                words[rng.randrange(len(words))] = rng.randrange(256)
            else:
                break
        return bytes(words)

    def pieces(self) -> list[bytes]:
        """These words as they are sent: in one, or cut anywhere."""
        words, rng = self.words(), self._rng
        ends = sorted(rng.randrange(len(words) + 1) for _ in range(rng.choice([0, 0, 1, 5])))
        return [words[a:b] for a, b in zip([0, *ends], [*ends, len(words)], strict=True) if a < b]

    def send(self, piece: bytes) -> bool:
        """Send it, with some descriptors; False when the host takes no more."""
        count = len(self.descriptors) if self._means_it() else self._rng.randrange(4)
        going, self.descriptors = self.descriptors[:count], self.descriptors[count:]
        rights = array("i", going)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if going else []
        try:
            self._end.sendmsg([piece], ancillary)
        except OSError:
            return False
        finally:
            for descriptor in going:
                os.close(descriptor)
        return True

    def scribble(self) -> None:
        """Write to what it shares, whoever reads it now."""
        for memory in self._memory:
            memory[:] = self._rng.randrange(256)

    def read(self) -> None:
        """Some of what the host said."""
        with suppress(OSError):
            self._end.recv(self._rng.choice([1, 1000, 1 << 16]))

    def leave(self) -> None:
        """Hang up."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self._end.close()


def _kinds(attacker: Attacker) -> tuple[list[Callable[[], bytes]], list[int]]:
    """What it may say, and how often it does."""
    often = {
        attacker.infer: 10,
        attacker.elsewhere: 3,
        attacker.cancel: 4,
        attacker.take: 2,
        attacker.form: 3,
        attacker.memory: 1,
        attacker.ask: 1,
        attacker.anything: 2,
    }
    return list(often), list(often.values())
