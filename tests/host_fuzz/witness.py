"""A client that keeps all rules, does everything that there is, and checks every answer."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from support.helpers import same, tensor
from support.wire import WireClient, source
from trtasync.shared.forms import aligned
from trtasync.shared.records import NEVER, Op, pack, parse
from trtasync.testing import ScriptedBackend

Array = npt.NDArray[np.float32]

SMALL, LARGE = 8, 8
"""Slots: of 512 bytes, where many an answer has no room, and of 1024."""

ROWS, WIDTHS = (None, 1, 3), (1, 4, 33)


def answers(a: Array, b: Array) -> list[Array]:
    """What the model gives; attackers send rows of any bits."""
    with np.errstate(all="ignore"):
        return [2 * a, b + 1]


def model() -> ScriptedBackend:
    """Two inputs, two outputs, one of any width."""
    return ScriptedBackend(
        answers,
        inputs=(tensor("a", "N", "W"), tensor("b", "N", 4)),
        outputs=(tensor("y", "N", "W"), tensor("z", "N", 4)),
    )


class Asked(NamedTuple):
    """A request under way.

    Attributes:
        generation: of it.
        inputs: what was asked.
        answer_at: where in its slot the answer will begin.
        cancelled: it may end without one.
    """

    generation: int
    inputs: list[Array]
    answer_at: int
    cancelled: bool


class Witness:
    """See the module's docstring.

    Attributes:
        answered: answers that came and were right.
        ended: that ended otherwise, as they were asked to.
    """

    def __init__(self, rng: Random, client: WireClient):
        """Not yet welcome.

        Args:
            rng: everything follows from it.
            client: the connection.
        """
        self._rng = rng
        self._client = client
        self._forms = [(rows, width) for rows in ROWS for width in WIDTHS]
        self._generation = 0
        self._asked: dict[int, Asked] = {}
        self.answered: int = 0
        self.ended: int = 0

    async def greet(self) -> None:
        """Become a client with slots and forms."""
        await self._client.greet()
        await self._client.share(SMALL, 512)
        await self._client.share(LARGE, 1024)
        for number, (rows, width) in enumerate(self._forms):
            axes = () if rows is None else (rows,)
            await self._client.form(number, (*axes, width), (*axes, 4), single=False)

    def ask(self) -> None:
        """Some requests at once, some of them to be cancelled."""
        rng = self._rng
        for slot in rng.sample(range(SMALL + LARGE // 2), rng.randrange(1, 7)):
            self._generation += 1
            number = rng.randrange(len(self._forms))
            inputs = self._inputs(number)
            elsewhere = slot < LARGE // 2 and rng.random() < 0.5
            if elsewhere:
                self._put_apart(slot, inputs)
            else:
                self._client.put(slot, number, *inputs)
            said = pack(
                Op.INFER, slot, self._generation, flag=rng.randrange(10), form=number, number=NEVER
            )
            cancelled = rng.random() < 0.2
            if cancelled:
                said += pack(Op.CANCEL, slot, self._generation)
            if rng.random() < 0.2:
                said += pack(Op.CANCEL, slot, self._generation - 1)
            self._client.say(said)
            at = 0 if elsewhere else self._client.forms[number][0].size
            self._asked[slot] = Asked(self._generation, inputs, at, cancelled)

    def _inputs(self, number: int) -> list[Array]:
        rows, width = self._forms[number]
        axes = () if rows is None else (rows,)
        draw = np.random.default_rng(self._generation)
        return [draw.random((*axes, length), np.float32) for length in (width, 4)]

    def _put_apart(self, slot: int, inputs: list[Array]) -> None:
        """Write them to a slot of their own, and say where they lie."""
        at, apart = 0, SMALL + LARGE // 2 + slot
        for index, array in enumerate(inputs):
            self._client.memory(apart)[at : at + array.nbytes].view(np.float32)[:] = array.ravel()
            self._client.say(source(index, apart, at))
            at += aligned(array.nbytes)

    async def hear(self) -> None:
        """How all of them ended.

        Raises:
            AssertionError: not as it had to be.
        """
        large: list[int] = []
        while len(large) < len(self._asked):
            record, payload = await self._client.hear()
            asked = self._asked[record.slot]
            assert record.generation == asked.generation, record
            if record.op == Op.LARGE:
                assert parse(payload)["shapes"][0] == list(asked.inputs[0].shape)
                large.append(record.slot)
                continue
            if record.op == Op.DONE:
                outputs = self._client.read(record.slot, asked.answer_at, record.form)
                self._check(outputs, asked.inputs)
            else:
                assert record.op == Op.CANCELLED, (record, payload)
                assert asked.cancelled
                self.ended += 1
            del self._asked[record.slot]
        for slot in large:
            await self._end_large(slot, self._asked.pop(slot))

    async def _end_large(self, slot: int, asked: Asked) -> None:
        """An answer that found no room is taken to where there is some, or given up."""
        client, target = self._client, SMALL + LARGE - 1
        if self._rng.random() < 0.3:
            client.say(pack(Op.CANCEL, slot, asked.generation))
            await client.expect(Op.CANCELLED)
            self.ended += 1
        else:
            client.say(pack(Op.TAKE, slot, asked.generation, number=target))
            record, _ = await client.expect(Op.DONE)
            assert (record.slot, record.generation) == (slot, asked.generation)
            self._check(client.read(target, 0, record.form), asked.inputs)

    def _check(self, outputs: Sequence[Array], inputs: Sequence[Array]) -> None:
        assert same(outputs[0], 2 * inputs[0]), "a wrong answer"
        assert same(outputs[1], inputs[1] + 1), "a wrong answer"
        self.answered += 1
