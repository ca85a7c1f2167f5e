"""Who waits and who stops waiting: cancellation, deadlines, priorities, and how much is taken."""

import random
import time
from collections.abc import Iterable, Iterator

import anyio
import numpy as np
import pytest

from support.helpers import at_once, computed, ended, row, same, submit, tensor, until
from tests.shared.joined import Joined, joined, stretching
from trtasync import EngineClosed, InvalidInput, QueueFull, connect
from trtasync.shared import credit
from trtasync.shared.credit import Credit
from trtasync.shared.slots import Slot
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


async def held(tasks: anyio.abc.TaskGroup, shared: Joined) -> None:
    """A batch of one row runs until the gate is opened."""
    await shared.engine.infer(row(0))
    shared.backend.gate.shut()
    arrived = shared.backend.gate.arrived
    await submit(tasks, shared.engine, row(-1))
    await until(lambda: shared.backend.gate.arrived > arrived)


async def test_a_slot_is_free_on_the_hosts_word_only() -> None:
    async with joined() as shared, anyio.create_task_group() as tasks:
        await shared.engine.infer(row(0))
        shared.backend.gate.shut()
        caller = await submit(tasks, shared.engine, row(1))
        await until(lambda: shared.backend.gate.arrived == 2)
        caller.scope.cancel()
        await ended(caller)  # at once, while its row is being read
        for _ in range(10):
            assert shared.in_use == 1
            await anyio.lowlevel.checkpoint()
        shared.backend.gate.let()
        await until(lambda: shared.in_use == 0)


async def test_what_waits_and_is_cancelled_is_not_computed() -> None:
    async with joined(max_batch_size=1) as shared, anyio.create_task_group() as tasks:
        await held(tasks, shared)
        others = [await submit(tasks, shared.engine, row(value)) for value in range(1, 9)]
        await until(lambda: shared.host.told()["clients"][0]["in_flight"] == 9)
        for caller in others[::2]:
            caller.scope.cancel()
        await until(lambda: shared.in_use == 5)  # the gate is still shut
        shared.backend.gate.let()
        await ended(*others)
        assert [caller.answer is None for caller in others] == [True, False] * 4
        assert set(computed(shared.backend)) == {0, -1, 2, 4, 6, 8}


async def test_what_was_cancelled_before_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trtasync.scheduler.expired.GRACE", 3600.0)  # no loop turns so late
    async with joined() as shared:
        await shared.engine.infer(row(0))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await shared.engine.infer(row(1))
        await until(lambda: shared.in_use == 0)
        assert same(await shared.engine.infer(row(2)), row(2))
        assert computed(shared.backend) == [0, 2]


async def test_a_deadline_crosses_with_its_request() -> None:
    async with joined(max_batch_size=1) as shared, anyio.create_task_group() as tasks:
        await held(tasks, shared)
        now = anyio.current_time()
        late = await submit(tasks, shared.engine, row(1), deadline=now + 9)
        never = await submit(tasks, shared.engine, row(2))
        early = await submit(tasks, shared.engine, row(3), deadline=now + 6)
        await until(lambda: shared.host.told()["clients"][0]["in_flight"] == 4)
        shared.backend.gate.let()
        await ended(late, never, early)
        assert computed(shared.backend) == [0, -1, 3, 1, 2]


async def test_what_is_late_is_not_computed() -> None:
    async with joined(max_batch_size=1) as shared, anyio.create_task_group() as tasks:
        await held(tasks, shared)
        with anyio.move_on_after(0.05) as scope:
            await shared.engine.infer(row(1))
        assert scope.cancelled_caught
        shared.backend.gate.let()
        await until(lambda: shared.in_use == 0)
        assert computed(shared.backend) == [0, -1]


async def test_priorities_cross_with_their_requests() -> None:
    async with joined(max_batch_size=1) as shared, anyio.create_task_group() as tasks:
        await held(tasks, shared)
        callers = [
            await submit(tasks, shared.engine, row(priority), priority=priority)
            for priority in (9, 5, 1, 0)
        ]
        await until(lambda: shared.host.told()["clients"][0]["in_flight"] == 5)
        shared.backend.gate.let()
        await ended(*callers)
        assert computed(shared.backend)[2:] == [1, 5, 0, 9]
        with pytest.raises(InvalidInput, match="priority"):
            await shared.engine.infer(row(1), priority=10)


async def test_a_full_queue_of_the_host_is_told() -> None:
    async with (
        joined(max_batch_size=1, max_queue_size=2) as shared,
        anyio.create_task_group() as tasks,
    ):
        await held(tasks, shared)
        waiting = [await submit(tasks, shared.engine, row(value)) for value in (1, 2, 3, 4)]
        await until(lambda: sum(caller.done for caller in waiting) >= 1)
        shared.backend.gate.let()
        await ended(*waiting)
        refused = [caller.error for caller in waiting if caller.error is not None]
        assert refused
        assert all(isinstance(error, QueueFull) and error.limit == 2 for error in refused)
        assert shared.in_use == 0


async def test_memory_has_an_end_and_what_comes_back_is_used_again() -> None:
    async with (
        joined(limits={"bytes_per_client": 64 * 128}, max_queue_size=200) as shared,
        anyio.create_task_group() as tasks,
    ):
        await held(tasks, shared)
        waiting = [await submit(tasks, shared.engine, row(value)) for value in range(63)]
        with pytest.raises(QueueFull, match="that this client may share") as caught:
            await shared.engine.infer(row(100))
        assert caught.value.limit == 64 * 128
        shared.backend.gate.let()
        await ended(*waiting)
        assert all(same(caller.answer, row(value)) for value, caller in enumerate(waiting))
        assert shared.in_use == 0
        assert same(await shared.engine.infer(row(100)), row(100))


async def test_memory_of_large_requests_is_there_for_small_ones() -> None:
    backend = ScriptedBackend(inputs=[tensor("x", "N", "T")], outputs=[tensor("y", "N", "T")])
    large = np.arange(10_000, dtype=np.float32)
    slot_bytes, slots = 98_304, 42  # as many as the first piece of memory has
    async with joined(backend, limits={"bytes_per_client": slots * slot_bytes}) as shared:
        assert same(await shared.engine.infer(large), large)
        answers = await at_once(shared.engine, [row(value) for value in range(slots)])
        assert all(same(answer, row(value)) for value, answer in enumerate(answers))
        assert shared.in_use == 0
        assert same(await shared.engine.infer(large), large)


async def refused_of(shared: Joined, count: int) -> int:
    """How many of so many at once are told that there is no memory for them."""
    async with anyio.create_task_group() as tasks:
        await held(tasks, shared)
        waiting = [await submit(tasks, shared.engine, row(value)) for value in range(count)]

        def all_are_heard() -> bool:
            under_way = sum(session.in_flight for session in shared.host.sessions)
            return under_way + sum(caller.done for caller in waiting) == count + 1

        await until(all_are_heard)
        shared.backend.gate.let()
        await ended(*waiting)
    for value, caller in enumerate(waiting):
        assert isinstance(caller.error, QueueFull) or same(caller.answer, row(value))
    assert shared.in_use == 0
    return sum(caller.error is not None for caller in waiting)


async def test_memory_that_the_host_refuses_is_asked_for_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(credit, "FIRST_PAUSE", 0.001)
    async with joined(limits={"total_bytes": 2 * 64 * 128}, max_queue_size=500) as shared:
        async with connect(shared.host.path) as other:
            await other.infer(row(0))
            assert await refused_of(shared, 100) == 37
        await until(lambda: len(shared.host.sessions) == 1)
        await until(lambda: shared.engine._link.session.credit._resume < time.monotonic())
        assert await refused_of(shared, 100) == 0


async def test_a_long_answer_for_which_the_host_has_no_memory_fails_alone() -> None:
    async with joined(stretching(), limits={"total_bytes": 64 << 10}) as shared:
        for value in range(3):
            with pytest.raises(QueueFull):
                await shared.engine.infer(row(value))
        assert len(shared.backend.computed) == 1  # then it is known how long they are
        assert shared.in_use == 0
        short = row(1)[:0]
        assert same(await shared.engine.infer(short), short)


async def test_callers_come_and_go_and_every_slot_comes_back() -> None:
    chance = random.Random(14)
    async with joined(max_batch_size=4) as shared:
        for _ in range(30):
            async with anyio.create_task_group() as tasks:
                callers = []
                for value in range(chance.randrange(1, 40)):
                    callers.append((value, await submit(tasks, shared.engine, row(value))))
                    if chance.random() < 0.3:
                        chance.choice(callers)[1].scope.cancel()
            for value, caller in callers:
                assert caller.cancelled or same(caller.answer, row(value))
            await until(lambda: shared.in_use == 0)


async def test_closing_waits_for_answers() -> None:
    async with joined() as shared, anyio.create_task_group() as tasks:
        await held(tasks, shared)
        caller = await submit(tasks, shared.engine, row(1))
        tasks.start_soon(shared.engine.aclose)
        await until(lambda: "closing" in repr(shared.engine))
        with pytest.raises(EngineClosed):
            await shared.engine.infer(row(2))
        with pytest.raises(EngineClosed):
            shared.engine.empty_input()
        shared.backend.gate.let()
        await ended(caller)
        assert same(caller.answer, row(1))
        await shared.engine.aclose()
        assert "closed" in repr(shared.engine)


async def test_closing_without_drain_lets_nobody_wait() -> None:
    async with joined() as shared, anyio.create_task_group() as tasks:
        await held(tasks, shared)
        caller = await submit(tasks, shared.engine, row(1))
        await shared.engine.aclose(drain=False)
        await ended(caller)
        assert isinstance(caller.error, EngineClosed)
        shared.backend.gate.let()
        await until(lambda: not shared.host.sessions)


class Contended(list[Slot]):
    """Free slots that another thread takes one of while this one looks through them."""

    def __init__(self, slots: Iterable[Slot]):
        super().__init__(slots)
        self.taken: list[Slot] = []

    def __iter__(self) -> Iterator[Slot]:
        for at, slot in enumerate(list(super().__iter__())):
            yield slot
            if not at:
                self.taken.append(self.pop())


def test_no_slot_is_given_twice_while_memory_is_taken_back() -> None:
    books = Credit(None, lambda: None)
    first = [books.take(100) for _ in range(64)]
    refused = books.take(100)  # the first of a second piece of memory
    free = books._free[128] = Contended([*books.slots[64:], *first])
    for slot in books.slots:
        slot.free = free
    books.refused(refused.number)
    given = [*free.taken, *(books.take(100) for _ in range(len(free)))]
    assert sorted(slot.number for slot in given) == list(range(64))
    books.forget()


def test_memory_is_offered_again_however_often_it_was_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(credit.time, "monotonic", lambda: now)  # type: ignore[attr-defined]  # not exported
    books = Credit(None, lambda: None)
    for _ in range(20):
        books.refused(books.take(100).number)
        with pytest.raises(QueueFull, match="had no memory for more a moment ago"):
            books.take(100)
        now += credit.LONGEST_PAUSE
    books.taken()
    books.refused(books.take(100).number)
    now += credit.FIRST_PAUSE
    books.take(100)
    books.forget()
