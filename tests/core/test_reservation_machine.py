"""Callers who reserve, write, commit and leave as they like, beside others who infer.

Hypothesis writes a script, which is played on real loops with lanes of every kind behind a gate.
Every row has a number of its own, so an answer made of anybody else's rows is seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.helpers import Array, ended, same, tensor, until
from tests.core.reserving import Reply, reserve
from trtasync import DeviceLost, Engine, InferenceError, QueueFull, TrtasyncError, open_engine
from trtasync.core.reservations import Reservation
from trtasync.memory.slots import HostSlot, Views
from trtasync.requests.answers import LentAnswer
from trtasync.requests.signature import Layout
from trtasync.runtimes import OpenLane
from trtasync.testing import ScriptedBackend

MAX_BATCH = 4
SIZES = (1, 2, 4)


@dataclass(frozen=True)
class Ask:
    """What is asked for (0 rows: one row without batch axis), by `infer` or by a reservation, which
    is written and committed at once or bit by bit."""

    rows: int
    width: int
    priority: int
    patience: float
    bad: bool
    lend: bool
    way: str


@dataclass(frozen=True)
class Write:
    """So many rows more of a reservation; committed to as soon as they are all there."""

    index: int
    rows: int


@dataclass(frozen=True)
class Leave:
    """A caller gives up, whatever it was about."""

    index: int


@dataclass(frozen=True)
class Let:
    """Let so many batches through the gate; the lane of the first may be `lost` by that."""

    batches: int
    lost: bool


@dataclass(frozen=True)
class Turn:
    """Let the loop run."""


Step = Ask | Write | Leave | Let | Turn

STEPS = st.one_of(
    st.builds(
        Ask,
        rows=st.sampled_from([0, 1, 1, 1, 2, 3, 6]),
        width=st.sampled_from([1, 1, 1, 2]),
        priority=st.sampled_from([5, 5, 1, 9]),
        patience=st.sampled_from([math.inf, math.inf, math.inf, 0.001, 0.0]),
        bad=st.integers(0, 9).map(lambda number: number == 0),
        lend=st.booleans(),
        way=st.sampled_from(["infer", "infer", "at once", "at once", "bit by bit"]),
    ),
    st.builds(Write, index=st.integers(0, 20), rows=st.integers(0, 6)),
    st.builds(Leave, index=st.integers(0, 20)),
    st.builds(Let, batches=st.integers(1, 2), lost=st.integers(0, 7).map(lambda n: n == 0)),
    st.just(Turn()),
)


@dataclass(frozen=True)
class Setting:
    """An engine."""

    streams: int
    owned: bool
    asynchronous: bool
    depth: int
    slots: int
    sizes: tuple[int, ...]
    queue: int
    clean: bool


SETTINGS = st.builds(
    Setting,
    streams=st.integers(1, 2),
    owned=st.booleans(),
    asynchronous=st.booleans(),
    depth=st.integers(1, 2),
    slots=st.sampled_from([2, 4]),
    sizes=st.sampled_from([(), SIZES, (2, 4)]),
    queue=st.sampled_from([6, 24]),
    clean=st.booleans(),
)


class LendingSlot(HostSlot):
    """Outputs are its memory: spoiled when it is used again, and never while they are lent."""

    def lend(self, count: int, home: Any) -> None:
        super().lend(count, home)
        self.kept = self.outputs

    def bind(self, layout: Layout) -> Views:
        assert self._loans == 0
        for output in getattr(self, "kept", ()):
            output.fill(np.nan)
        return super().bind(layout)


class Lending(ScriptedBackend):
    """Whose slots are those."""

    lends_outputs = True

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        opened = super().open(streams, max_batch_size, batch_sizes)
        return [
            OpenLane(
                each.lane, [LendingSlot(self.spec, max_batch_size, s.lane) for s in each.slots]
            )
            for each in opened
        ]


@dataclass
class Party:
    """Somebody who asks."""

    ask: Ask
    content: Array
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    began: bool = False
    done: bool = False
    left: bool = False
    answer: Any = None
    error: BaseException | None = None
    reservation: Reservation | None = None
    reply: Reply | None = None
    written: int = 0


@dataclass
class Play:
    """One script on one engine."""

    engine: Engine
    backend: ScriptedBackend
    tasks: anyio.abc.TaskGroup
    parties: list[Party] = field(default_factory=list)
    lost: bool = False

    async def step(self, step: Step) -> None:
        match step:
            case Ask():
                await self.ask(step)
            case Turn():
                await anyio.lowlevel.checkpoint()
            case Let(batches, lost):
                self.lost = self.lost or lost
                self.backend.lose = lost
                self.backend.gate.let(batches)
            case Write(index, rows):
                slow = [each for each in self.parties if each.reservation and not each.reply]
                if slow:
                    self.write(slow[index % len(slow)], rows)
            case Leave(index):
                if self.parties:
                    self.leave(self.parties[index % len(self.parties)])

    async def ask(self, ask: Ask) -> None:
        number = float(len(self.parties) + 1) * (-1 if ask.bad else 1)
        offsets = np.arange(max(1, ask.rows), dtype=np.float32)[:, np.newaxis] / 16
        content = np.repeat(number + np.sign(number) * offsets, ask.width, axis=1)
        if not ask.rows:
            content = content[0]
        party = Party(ask, content.astype(np.float32))
        self.parties.append(party)
        if ask.way != "infer":
            deadline = self.engine._core.loop.now() + ask.patience
            try:
                party.reservation = reserve(
                    self.engine, party.content, level=ask.priority, deadline=deadline
                )
            except TrtasyncError as error:
                party.error = error
            party.done = True
            if party.reservation is not None and ask.way == "at once":
                self.write(party, ask.rows or 1)
            return
        self.tasks.start_soon(self.infer, party)
        await until(lambda: party.began)

    async def infer(self, party: Party) -> None:
        ask = party.ask
        party.scope.deadline = anyio.current_time() + ask.patience
        try:
            with party.scope:
                party.began = True
                party.answer = await self.engine.infer(
                    party.content, priority=ask.priority, copy=not ask.lend
                )
        except TrtasyncError as error:
            party.error = error
        finally:
            party.done = True

    def write(self, party: Party, rows: int) -> None:
        """Write some rows where they belong now; commit when nothing is left to be written."""
        assert party.reservation is not None
        if party.error is not None or party.left:
            return
        content = party.content.reshape(-1, party.ask.width)
        (target,) = party.reservation.rows_to_write()
        end = min(len(content), party.written + rows)
        target[party.written : end] = content[party.written : end]
        party.written = end
        if end == len(content):
            reply = Reply()
            try:
                party.reservation.commit(reply)
                party.reply = reply
            except TrtasyncError as error:
                party.error = error
                party.reservation.drop()

    def leave(self, party: Party) -> None:
        party.left = True
        party.scope.cancel()
        if party.reply is not None:
            party.reply.given_up = party.reply.error is None and party.reply.result is None
        elif party.reservation is not None:
            party.reservation.drop()

    def check(self) -> None:
        """Everybody got the own rows back, or a reason why not; nobody else's were computed."""
        reasons = (QueueFull, DeviceLost) if self.lost else (QueueFull,)
        for party in self.parties:
            answer, error = party.answer, party.error
            if party.reply is not None and not party.reply.given_up:
                answer, error = party.reply.result, party.reply.error
                assert answer is not None or error is not None
            if isinstance(answer, LentAnswer):
                with answer as answer:
                    self.check_answer(party, answer)
            elif answer is not None:
                self.check_answer(party, answer)
            elif error is not None:
                expected = (*reasons, InferenceError) if party.ask.bad else reasons
                assert isinstance(error, expected), error
            else:
                assert party.left or party.ask.patience < math.inf

    def check_answer(self, party: Party, answer: Array) -> None:
        assert not party.ask.bad
        assert same(answer, party.content)

    def check_computed(self) -> None:
        """What was never complete was never run."""
        seen = {float(line[0]) for run in self.backend.computed for line in run}
        for party in self.parties:
            if party.reservation is not None and party.reply is None:
                assert not seen & {float(value) for value in party.content.reshape(-1)}


def bad_row(row: Any) -> bool:
    return bool(row.size and row[0] < 0)


async def play(script: list[Step], setting: Setting) -> None:
    backend = Lending(
        inputs=[tensor("x", "N", "W")],
        outputs=[tensor("y", "N", "W")],
        owned_slots=setting.owned,
        asynchronous=setting.asynchronous,
        depth=setting.depth,
        slots_per_lane=setting.slots,
    )
    backend.bad = bad_row
    backend.gate.shut()
    async with open_engine(
        backend,
        max_batch_size=MAX_BATCH,
        batch_sizes=setting.sizes or None,
        max_queue_size=setting.queue,
        streams=setting.streams,
        loop_budget=0.0,
    ) as engine:
        policy = engine._core.policy
        for width in (1, 2):
            cost = engine._reader.read(np.zeros(width, np.float32))[0].queue.cost
            for size in [*SIZES] * 8:  # so that batches are cut
                cost.learn(size, size * 1e-3, 0.0)
        for slot in policy.slots.all:
            slot.holds_more = not setting.clean
        async with anyio.create_task_group() as tasks:
            game = Play(engine, backend, tasks)
            try:
                for step in script:
                    await game.step(step)
            finally:
                backend.gate.let()
            for party in game.parties:
                if party.reservation is not None and party.reply is None:
                    game.leave(party)
            replies = [each.reply for each in game.parties if each.reply]
            await ended(*game.parties)  # type: ignore[arg-type]  # as done as a caller is
            await until(lambda: all(reply.done() for reply in replies))
        await until(lambda: engine.statistics().in_flight == 0)
        game.check()
        for party in game.parties:
            if party.reply is not None and party.reply.given_up and party.reservation is not None:
                engine._core.intake.withdraw(party.reservation)
        game.check_computed()
        await until(lambda: not policy.slots._lent)
        seen = engine.statistics()
        assert (seen.queued, seen.in_flight, policy.unanswered()) == (0, 0, 0)
        usable = [slot for slot in policy.slots.all if policy.slots.is_usable(slot)]
        assert game.lost or len(usable) == setting.slots * setting.streams
        assert len(usable) == sum(slot in policy.slots for slot in usable)
        free = [*policy.slots.shared, *(s for own in policy.slots._owned.values() for s in own)]
        assert len(free) == len(set(map(id, free)))
        if any(stream.alive for stream in seen.streams):
            backend.lose = False
            x = np.full((3, 1), 99, np.float32)
            assert same(await engine.infer(x), x)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@settings(max_examples=150)
@given(script=st.lists(STEPS, min_size=12, max_size=40), setting=SETTINGS)
def test_everybody_gets_the_own_rows(loop: str, script: list[Step], setting: Setting) -> None:
    anyio.run(play, script, setting, backend=loop)
