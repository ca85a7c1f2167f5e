"""The whole engine against a plain list of what should come back, on asyncio and trio.

Hypothesis writes a script (requests of any size, shape and priority, cancellations, batches let
through or made to fail); it is played on a real loop with a real lane thread behind a gate.
"""

from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.helpers import Caller, check_at_rest, ended, same, start, tensor, until
from trtasync import Engine, InferenceError, QueueFull, open_engine
from trtasync.testing import ScriptedBackend

MAX_BATCH = 3
MAX_QUEUE = 16
WIDTHS = (1, 2)


@dataclass(frozen=True)
class Submit:
    """A request of `rows` rows (0: one row without batch axis); `bad` ones make the model fail."""

    rows: int
    width: int
    priority: int
    bad: bool


@dataclass(frozen=True)
class Cancel:
    """Cancel the caller at this place in the list (modulo its length)."""

    index: int


@dataclass(frozen=True)
class Let:
    """Let so many batches through the gate."""

    batches: int


Step = Submit | Cancel | Let

STEPS = st.one_of(
    st.builds(
        Submit,
        rows=st.integers(0, 7),
        width=st.sampled_from(WIDTHS),
        priority=st.sampled_from([0, 1, 9]),
        bad=st.integers(0, 9).map(lambda number: number == 0),
    ),
    st.builds(Cancel, index=st.integers(0, 50)),
    st.builds(Let, batches=st.integers(1, 2)),
)


def bad_row(row: Any) -> bool:
    """The model fails on rows of negative numbers."""
    return bool(row.size and row[0] < 0)


@dataclass
class Play:
    """One script on one engine."""

    engine: Engine
    backend: ScriptedBackend
    tasks: anyio.abc.TaskGroup
    callers: list[tuple[Submit, Any, Caller]] = field(default_factory=list)

    async def step(self, step: Step) -> None:
        """Play a step and let the loop see it."""
        if isinstance(step, Submit):
            await self.submit(step)
        elif isinstance(step, Cancel):
            if self.callers:
                self.callers[step.index % len(self.callers)][2].scope.cancel()
        else:
            self.backend.gate.let(step.batches)
        await anyio.lowlevel.checkpoint()

    async def submit(self, step: Submit) -> None:
        """Hand in rows that no other request has."""
        number = float(len(self.callers) + 1) * (-1 if step.bad else 1)
        shape = (step.width,) if step.rows == 0 else (step.rows, step.width)
        offsets = np.arange(max(1, step.rows), dtype=np.float32)[:, np.newaxis] / 16
        inputs = np.broadcast_to(
            number + np.sign(number) * offsets, (max(1, step.rows), step.width)
        )
        inputs = inputs.reshape(shape).astype(np.float32)
        caller = start(self.tasks, self.engine, inputs, priority=step.priority)
        self.callers.append((step, inputs, caller))
        await until(lambda: caller.began)

    def check(self) -> None:
        """Every caller got its own rows back, or a reason why not."""
        for step, inputs, caller in self.callers:
            if caller.answer is not None:
                assert not step.bad
                assert same(caller.answer, inputs)
            elif caller.error is not None:
                assert isinstance(
                    caller.error, QueueFull if not step.bad else (InferenceError, QueueFull)
                )
            else:
                assert caller.cancelled
        seen = check_at_rest(self.engine)
        errors = [caller.error for _, _, caller in self.callers]
        full = [error.displaced for error in errors if isinstance(error, QueueFull)]
        assert seen.rejected == full.count(False)
        assert seen.displaced >= full.count(True)  # some were cancelled before they were told
        assert seen.requests == len(self.callers) - seen.rejected


async def play(script: list[Step], streams: int, owned: bool, asynchronous: bool) -> None:
    backend = ScriptedBackend(
        inputs=[tensor("x", "N", "W")],
        outputs=[tensor("y", "N", "W")],
        owned_slots=owned,
        asynchronous=asynchronous,
    )
    backend.bad = bad_row
    backend.gate.shut()
    async with open_engine(
        backend,
        max_batch_size=MAX_BATCH,
        max_queue_size=MAX_QUEUE,
        streams=streams,
        loop_budget=0.0,
    ) as engine:
        async with anyio.create_task_group() as tasks:
            game = Play(engine, backend, tasks)
            for step in script:
                await game.step(step)
            backend.gate.let()
            await ended(*(caller for _, _, caller in game.callers))
        await until(lambda: engine.statistics().in_flight == 0)
        game.check()
        policy = engine._core.policy  # a slot lost for good shows nowhere else
        assert sum(slot in policy.slots for slot in policy.slots.all) == 2 * streams


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@settings(max_examples=120)
@given(
    script=st.lists(STEPS, max_size=30),
    streams=st.integers(1, 2),
    owned=st.booleans(),
    asynchronous=st.booleans(),
)
def test_rows_in_are_rows_out(
    loop: str, script: list[Step], streams: int, owned: bool, asynchronous: bool
) -> None:
    anyio.run(play, script, streams, owned, asynchronous, backend=loop)
