"""An exception between any two lines of `infer`: the engine is as usable as before.

Every line that a request runs on its caller's stack is tried, one after another, on one engine:
what an interruption leaves behind would add up.
"""

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import (
    PATIENCE,
    Array,
    Caller,
    check_at_rest,
    hold,
    opened,
    row,
    rows,
    same,
    submit,
    until,
)
from tests.conftest import LOOPS
from tests.engine.interruptions import Interrupt, Interruption
from trtasync import Engine, TrtasyncError
from trtasync.core.reservations import Reservation
from trtasync.memory.staging import Copies, CopyThreads
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

ERRORS = [Interrupt, MemoryError]


@pytest.fixture(params=[loop for loop in LOOPS if loop.id != "uvloop"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """See `tests.conftest`. A request runs the same lines on uvloop as on asyncio's own loop."""
    return request.param


class Victim:
    """A caller whose request is interrupted.

    Attributes:
        scope: cancels it.
        done: its task has ended.
        where: it was interrupted; "" when its lines were at an end before.
    """

    def __init__(self, at: int, error: type[BaseException], **arguments: Any):
        self.scope = anyio.CancelScope()
        self.began = self.done = False
        self.where = ""
        self._at, self._error, self._arguments = at, error, arguments

    async def run(self, engine: Engine, inputs: Any) -> None:
        """Ask; whatever comes of it, the test goes on."""
        interruption = Interruption(_ask.__code__, self._at, self._error)
        try:
            with self.scope:
                self.began = True
                with interruption:
                    answer = await _ask(engine, inputs, self._arguments)
                expected = inputs * 2
                assert same(answer, expected)
        except (Interrupt, MemoryError, TrtasyncError):
            assert interruption.where
        finally:
            self.where = interruption.where
            self.done = True


async def _ask(engine: Engine, inputs: Any, arguments: Any) -> Any:
    if not arguments.get("copy", True):
        with await engine.infer(inputs, **arguments) as answer:
            return np.array(answer)
    return await engine.infer(inputs, **arguments)


def double(x: Array) -> Array:
    """A model whose answers are not what already lies somewhere."""
    return x * 2


async def cross(
    engine: Engine,
    backend: ScriptedBackend,
    victim: "Victim | Cramped",
    inputs: Array,
    before: int,
    after: int,
    cancel: bool = False,
    busy: bool = True,
) -> None:
    """A victim between neighbours, which come `before` and `after` it while the lane is busy."""
    async with anyio.create_task_group() as tasks:
        blocker = [await hold(tasks, engine, backend)] if busy else []
        shape = inputs.shape[inputs.ndim - 1 :]

        async def neighbour(value: int) -> tuple[Caller, Array]:
            x = np.full(shape, value, np.float32)
            return await submit(tasks, engine, x), x * 2

        neighbours = [await neighbour(value) for value in range(before)]
        tasks.start_soon(victim.run, engine, inputs)
        await until(lambda: victim.began)
        neighbours += [await neighbour(before + value) for value in range(after)]
        if cancel:
            victim.scope.cancel()
            await until(lambda: victim.done)
        backend.gate.let()
        callers = [caller for caller, _ in neighbours]
        await until(lambda: victim.done and all(c.done for c in [*blocker, *callers]))
        for caller, expected in neighbours:
            assert caller.error is not None or same(caller.answer, expected), victim.where
    with anyio.fail_after(PATIENCE):
        assert same(await engine.infer(row(7)), row(14)), victim.where
    await until(lambda: engine.statistics().in_flight == 0)
    check_at_rest(engine)
    assert engine._core.failing.is_idle(), victim.where


async def every_line(
    scene: Callable[[Engine, ScriptedBackend, Victim], Awaitable[None]],
    error: type[BaseException],
    backend: ScriptedBackend | None = None,
    arguments: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Play a scene once for every line that its victim runs."""
    backend = backend or ScriptedBackend(double)
    async with opened(backend, **{"max_batch_size": 4, **options}) as engine:
        # Once more: the first time ends where the shape is known at last, which saves many lines.
        for _ in range(2):
            at = 0
            seen: list[str] = []
            while at == len(seen):
                at += 1
                victim = Victim(at, error, **(arguments or {}))
                try:
                    await scene(engine, backend, victim)
                except BaseException as problem:
                    problem.add_note(f"interrupted at {victim.where}")
                    raise
                if victim.where:
                    seen.append(victim.where)
        with anyio.fail_after(PATIENCE):
            await engine.aclose()
    assert any(where.endswith(" enter") for where in seen)


SCENES: dict[str, tuple[Array, dict[str, Any], dict[str, Any]]] = {
    # inputs, how they come between others, arguments of `infer`
    "first row, idle lane": (row(3), {"before": 0, "after": 1, "busy": False}, {}),
    "first row": (row(3), {"before": 0, "after": 1}, {}),
    "row beside others": (row(3), {"before": 1, "after": 1}, {}),
    "rows beside others": (rows([3, 4]), {"before": 1, "after": 1}, {}),
    "split over batches": (rows(range(11)), {"before": 1, "after": 2}, {}),
    "no slot is free": (row(3), {"before": 5, "after": 1}, {}),
    "another shape waits": (rows([3, 4]), {"before": 4, "after": 1}, {}),
    "urgent": (row(3), {"before": 5, "after": 1}, {"priority": 1}),
    "lent": (rows([3, 4]), {"before": 1, "after": 1}, {"copy": False}),
    "cancelled in a batch": (row(3), {"before": 1, "after": 1, "cancel": True}, {}),
    "cancelled alone": (rows(range(4)), {"before": 0, "after": 5, "cancel": True}, {}),
    "cancelled in the line": (row(3), {"before": 5, "after": 1, "cancel": True}, {}),
    "cancelled in parts": (rows(range(11)), {"before": 1, "after": 2, "cancel": True}, {}),
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("scene", SCENES)
async def test_every_line_of_a_request(scene: str, error: type[BaseException]) -> None:
    """Its neighbours get their answers, the next request gets its own, and closing ends."""
    inputs, surroundings, arguments = SCENES[scene]

    async def play(engine: Engine, backend: ScriptedBackend, victim: Victim) -> None:
        await cross(engine, backend, victim, inputs, **surroundings)

    await every_line(play, error, arguments=arguments)


@pytest.mark.skipif(sys.gettrace() is not None, reason="coverage takes stack for each call")
@pytest.mark.parametrize("scene", [name for name in SCENES if "cancelled" not in name])
async def test_near_the_limit_of_the_stack(scene: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack ends at every depth that a request reaches, one after another."""
    # pytest's hook for what a finalizer raises is Python, and fails itself at the end of the stack
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    inputs, surroundings, arguments = SCENES[scene]
    backend = ScriptedBackend(double)
    refused = 0
    async with opened(backend, max_batch_size=4) as engine:
        for room in range(1, 40):
            victim = Cramped(room, arguments)
            await cross(engine, backend, victim, inputs, **surroundings)
            refused += victim.refused
        with anyio.fail_after(PATIENCE):
            await engine.aclose()
    assert 0 < refused < 39  # the fewer, the less of a request is written in Python


async def test_who_was_never_let_in_leaves_nothing_however_he_is_interrupted() -> None:
    """Once before the queue knew of the request, and once more while it was taken back."""
    async with opened(ScriptedBackend(double)) as engine:
        engine._core.intake.leaving = (Reservation(),)
        assert same(await engine.infer(row(7)), row(14))
        assert check_at_rest(engine).cancelled == 0


class Cramped:
    """A caller with little room left on the stack; see `Victim`.

    Attributes:
        refused: there was too little.
    """

    where = "the limit of the stack"

    def __init__(self, room: int, arguments: dict[str, Any]):
        self.scope = anyio.CancelScope()
        self.began = self.done = self.refused = False
        self._room, self._arguments = room, arguments

    async def run(self, engine: Engine, inputs: Any) -> None:
        """Ask."""
        self.began = True
        try:
            answer = await self._ask(engine, inputs, _room() - self._room)
            assert same(answer, inputs * 2)
        except (RecursionError, TrtasyncError):
            self.refused = True
        finally:
            self.done = True

    async def _ask(self, engine: Engine, inputs: Any, frames: int) -> Any:
        if frames > 0:
            return await self._ask(engine, inputs, frames - 1)
        return await _ask(engine, inputs, self._arguments)


def _room() -> int:
    """Frames that may still be put on the stack."""

    def depth() -> int:
        frame, count = sys._getframe(), 0
        while frame.f_back is not None:
            frame, count = frame.f_back, count + 1
        return count

    return sys.getrecursionlimit() - depth()


def test_every_line_of_a_copy_by_a_thread() -> None:
    """The copy is made or it is not: nobody waits for one that nobody makes."""
    threads = CopyThreads(1)
    try:
        copies = Copies(threads, 0)
        target = np.zeros((4, 4), np.float32)

        def put(row: int, count: int, source: Array) -> None:
            target[row : row + count] = source

        write = copies.wrap(put, 16)

        def hand_over() -> None:
            write(1, 1, rows([5]))

        at, interrupted = 0, True
        while interrupted:
            at += 1
            target[:] = 0
            interruption = Interruption(hand_over.__code__, at, Interrupt)
            with suppress(Interrupt), interruption:
                hand_over()
            interrupted = bool(interruption.where)
            copies.wait()
            assert target[1, 0] in ((0, 5) if interrupted else (5,)), interruption.where
            write(2, 1, rows([6]))
            copies.wait()
            assert target[2, 0] == 6, interruption.where
        assert at > 10
    finally:
        threads.close()
