"""The life of a request: forms of answers, splitting, order, bounds, statistics, where it runs."""

import math
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from support.helpers import (
    PATIENCE,
    Array,
    check_at_rest,
    computed,
    ended,
    hold,
    opened,
    row,
    rows,
    same,
    start,
    submit,
    submit_all,
    tensor,
    until,
)
from trtasync import (
    InferenceError,
    InvalidInput,
    Pad,
    QueueFull,
    RequestTooLarge,
    TrtasyncError,
    open_engine,
)
from trtasync.runtimes import OpenLane, Times
from trtasync.testing import FunctionBackend, FunctionLane, ScriptedBackend

pytestmark = pytest.mark.anyio

X = tensor("x", "N", 4)


def two_outputs(a: Array, b: Array) -> list[Array]:
    """(sum, row total of a)."""
    return [a + b, a.sum(axis=1)]


def pair() -> FunctionBackend:
    return FunctionBackend(
        two_outputs,
        inputs=[tensor("a", "N", 2), tensor("b", "N", 2)],
        outputs=[tensor("sum", "N", 2), tensor("total", "N")],
    )


# -- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop_budget", [0.0, 1.0])
async def test_the_answer_has_the_form_of_the_question(loop_budget: float) -> None:
    backend = FunctionBackend(np.negative, inputs=[X], outputs=[tensor("y", "N", 4)])
    async with open_engine(backend, loop_budget=loop_budget) as engine:
        for _ in range(3):
            assert same(await engine.infer(row(1)), row(-1))
            assert same(await engine.infer(rows([1])), rows([-1]))
            assert same(await engine.infer(rows([1, 2])), rows([-1, -2]))
            for wrapped in ([row(1)], (row(1),), {"x": row(1)}):
                answer = await engine.infer(wrapped)
                assert list(answer) == ["y"]
                assert same(answer["y"], row(-1))


async def test_several_inputs_and_outputs_come_by_name() -> None:
    async with open_engine(pair()) as engine:
        a, b = np.array([1, 2], np.float32), np.array([10, 20], np.float32)
        for inputs in ((a, b), [a, b], {"b": b, "a": a}):
            answer = await engine.infer(inputs)
            assert list(answer) == ["sum", "total"]
            assert same(answer["sum"], a + b)
            assert same(answer["total"], np.float32(3))
        many = await engine.infer({"a": np.stack([a, b]), "b": np.stack([b, b])})
        assert same(many["sum"], np.stack([a + b, b + b]))
        assert same(many["total"], np.array([3, 30], np.float32))


async def test_one_array_for_a_model_of_several_outputs_gives_a_dict() -> None:
    backend = FunctionBackend(
        lambda x: [x, -x], inputs=[X], outputs=[tensor("plus", "N", 4), tensor("minus", "N", 4)]
    )
    async with open_engine(backend) as engine:
        answer = await engine.infer(row(2))
        assert same(answer["plus"], row(2))
        assert same(answer["minus"], row(-2))


async def test_rows_of_numbers() -> None:
    backend = FunctionBackend(np.negative, inputs=[tensor("x", "N")], outputs=[tensor("y", "N")])
    async with open_engine(backend) as engine:
        for _ in range(2):
            assert same(await engine.infer(np.float32(3)), np.float32(-3))
            assert same(
                await engine.infer(np.array([3, 4], np.float32)), np.array([-3, -4], np.float32)
            )


async def test_the_specs_can_be_read() -> None:
    async with open_engine(pair()) as engine:
        assert list(map(str, engine.inputs)) == ["a: float32[N, 2]", "b: float32[N, 2]"]
        assert list(map(str, engine.outputs)) == ["sum: float32[N, 2]", "total: float32[N]"]


@pytest.mark.parametrize("order", ["F", "sliced", "unaligned", "big", "broadcast", "read-only"])
@pytest.mark.parametrize("samples", [False, True])
async def test_memory_of_every_kind_is_read_right(order: str, samples: bool) -> None:
    true = np.arange(12, dtype=np.float32).reshape(3, 4)
    if order == "broadcast":
        true = np.broadcast_to(true[:, :1], (3, 4)).copy()
    given: Array = {
        "F": np.asfortranarray(true),
        "sliced": np.repeat(true, 2, axis=1)[:, ::2],
        "unaligned": np.frombuffer(b"\0" + true.tobytes(), np.uint8)[1:]
        .view(np.float32)
        .reshape(3, 4),
        "big": true.astype(">f4"),
        "broadcast": np.broadcast_to(true[:, :1], (3, 4)),
        "read-only": np.frombuffer(true.tobytes(), np.float32).reshape(3, 4),
    }[order]
    async with open_engine(ScriptedBackend()) as engine:
        if samples:  # several at once: the second takes the shortest way into the batch
            answers: list[Array] = [np.empty(0)] * 3

            async def ask(index: int) -> None:
                answers[index] = await engine.infer(given[index])

            async with anyio.create_task_group() as tasks:
                for index in range(3):
                    tasks.start_soon(ask, index)
            assert same(np.stack(answers), true)
        else:
            assert same(await engine.infer(given), true)


async def test_answers_share_no_memory_with_each_other_or_the_engine() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        await hold(tasks, engine, backend)
        callers = await submit_all(tasks, engine, range(1, 4))
        backend.gate.let()
        await ended(*callers)
        callers[0].answer[...] = 99
        assert same(callers[1].answer, row(2))
        await engine.infer(rows(range(8)))
        assert same(callers[2].answer, row(3))


# -- splitting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9, 30])
@pytest.mark.parametrize("streams", [1, 2])
async def test_a_request_larger_than_a_batch_is_split_and_rejoined(
    count: int, streams: int
) -> None:
    backend = ScriptedBackend(lambda x: x + np.float32(1))
    async with open_engine(backend, max_batch_size=4, streams=streams) as engine:
        assert same(await engine.infer(rows(range(count))), rows(range(1, count + 1)))
        statistics = check_at_rest(engine)
        assert (statistics.requests, statistics.answered, statistics.rows) == (1, 1, count)
        assert max(statistics.batch_sizes) <= 4


async def test_split_requests_share_batches_and_do_not_mix() -> None:
    backend = ScriptedBackend(lambda x: -x)
    async with (
        opened(backend, max_batch_size=4) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        numbers = [range(10, 16), range(20, 21), range(30, 37), range(40, 43)]
        callers = [await submit(tasks, engine, rows(list(each))) for each in numbers]
        backend.gate.let()
        await ended(*callers)
        for caller, each in zip(callers, numbers, strict=True):
            assert same(caller.answer, -rows(list(each)))
    assert sorted(computed(backend)) == [-1.0, *(float(n) for each in numbers for n in each)]
    assert len(backend.computed) <= 1 + 5  # 17 rows in batches of up to 4


async def test_split_requests_of_several_inputs() -> None:
    async with open_engine(pair(), max_batch_size=2) as engine:
        a = np.arange(10, dtype=np.float32).reshape(5, 2)
        answer = await engine.infer({"a": a, "b": a})
        assert same(answer["sum"], a + a)
        assert same(answer["total"], a.sum(axis=1))


async def test_padded_rows_of_split_requests_are_cut_back() -> None:
    backend = FunctionBackend(
        lambda x: x, inputs=[tensor("x", "N", "W")], outputs=[tensor("y", "N", "W")]
    )
    padding = {"x": Pad(axis=1, multiple_of=8, value=-1)}
    async with open_engine(backend, max_batch_size=2, padding=padding) as engine:
        x = np.arange(25, dtype=np.float32).reshape(5, 5)
        assert same(await engine.infer(x), x)
        assert same(await engine.infer(x[0]), x[0])


# -- order ----------------------------------------------------------------------------------------


async def test_better_priorities_are_computed_first() -> None:
    backend = ScriptedBackend(slots_per_lane=1)
    async with (
        opened(backend, max_batch_size=1) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        for priority in (9, 0, 1, 5, 4, 6):
            await submit(tasks, engine, row(priority), priority=priority)
        backend.gate.let()
    assert computed(backend) == [-1, 1, 4, 0, 5, 6, 9]


async def test_earlier_deadlines_are_computed_first_within_a_priority() -> None:
    backend = ScriptedBackend(slots_per_lane=1)
    async with (
        opened(backend, max_batch_size=1) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        now = anyio.current_time()
        # within the ten seconds in which a deadline counts, far beyond what a test takes
        for seconds in (9.5, math.inf, 8.0, 9.0):
            await submit(tasks, engine, row(min(seconds, 99)), deadline=now + seconds)
        await submit(tasks, engine, row(1), priority=1)
        backend.gate.let()
    assert computed(backend) == [-1, 1, 8, 9, 9.5, 99]


async def test_requests_of_one_shape_come_in_order() -> None:
    backend = ScriptedBackend()
    async with (
        opened(backend, max_batch_size=3) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        await submit_all(tasks, engine, range(10))
        backend.gate.let()
    assert computed(backend) == [-1, *range(10)]
    assert [len(batch) for batch in backend.computed] == [1, 3, 3, 3, 1]


@pytest.mark.parametrize("priority", [-1, 10, 1.5, "high", None, np.float32(3)])
async def test_impossible_priorities_are_refused(priority: Any) -> None:
    async with open_engine(ScriptedBackend()) as engine:
        with pytest.raises(InvalidInput, match="priority must be 0"):
            await engine.infer(row(1), priority=priority)
        assert check_at_rest(engine).requests == 0


async def test_bad_input_harms_nobody() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            first = await submit(tasks, engine, row(1))
            bad = await submit(tasks, engine, row(2, 5))
            last = await submit(tasks, engine, row(3))
            backend.gate.let()
        assert isinstance(bad.error, InvalidInput)
        assert same(first.answer, row(1))
        assert same(last.answer, row(3))
        assert check_at_rest(engine).requests == 3


# -- batching as asked for ------------------------------------------------------------------------


async def test_an_idle_engine_runs_at_once_and_a_busy_one_gathers() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        await hold(tasks, engine, backend)
        await submit_all(tasks, engine, range(5))
        backend.gate.let()
    assert [len(batch) for batch in backend.computed] == [1, 5]


async def test_requests_of_one_loop_iteration_go_together() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend) as engine, anyio.create_task_group() as tasks:
        for value in range(6):
            start(tasks, engine, row(value))
    assert [len(batch) for batch in backend.computed] == [6]


async def test_max_queue_delay_waits_for_the_preferred_size() -> None:
    backend = ScriptedBackend()
    async with open_engine(
        backend, max_queue_delay=1000.0, preferred_batch_size=[3], max_batch_size=8
    ) as engine:
        async with anyio.create_task_group() as tasks:
            await submit_all(tasks, engine, [1, 2])
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert backend.computed == []
            await submit(tasks, engine, row(3))
        assert [len(batch) for batch in backend.computed] == [3]


async def test_max_queue_delay_runs_out() -> None:
    backend = ScriptedBackend()
    async with open_engine(backend, max_queue_delay=0.05) as engine:
        begin = time.monotonic()
        await engine.infer(row(1))
        assert time.monotonic() - begin >= 0.05
        assert engine.statistics().queue.mean >= 0.05


async def test_other_shapes_form_other_batches() -> None:
    backend = ScriptedBackend(
        inputs=[tensor("x", "N", "W")], outputs=[tensor("y", "N", "W")], slots_per_lane=3
    )
    async with opened(backend) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            callers = [await submit(tasks, engine, row(n, 3 + n % 2)) for n in range(6)]
            backend.gate.let()
        for number, caller in enumerate(callers):
            assert same(caller.answer, row(number, 3 + number % 2))
        assert check_at_rest(engine).batches == 3


async def test_batch_sizes_are_kept_to_by_padding() -> None:
    backend = ScriptedBackend()
    async with (
        opened(backend, batch_sizes=[2, 6]) as engine,
        anyio.create_task_group() as tasks,
    ):
        await hold(tasks, engine, backend)
        await submit_all(tasks, engine, range(3))
        backend.gate.let()
    assert [batch[:, 0].tolist() for batch in backend.computed] == [[-1, -1], [0, 1, 2, 2, 2, 2]]


# -- bounds ---------------------------------------------------------------------------------------


async def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    backend = ScriptedBackend()
    async with opened(backend, max_queue_size=5, max_batch_size=2) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            accepted = await submit_all(tasks, engine, range(4))
            with anyio.fail_after(PATIENCE), pytest.raises(QueueFull, match="5"):
                await engine.infer(rows([7, 8]))
            fits = await submit(tasks, engine, row(4))
            refused = await submit(tasks, engine, row(5))
            await ended(refused)
            assert isinstance(refused.error, QueueFull)
            statistics = engine.statistics()
            assert (statistics.rejected, statistics.queued, statistics.requests) == (2, 5, 6)
            accepted[0].scope.cancel()
            await ended(accepted[0])
            again = await submit(tasks, engine, row(6))
            backend.gate.let()
        assert [caller.answer[0] for caller in (*accepted[1:], fits, again)] == [1, 2, 3, 4, 6]
        assert check_at_rest(engine).rejected == 2


async def test_a_request_that_never_fits_says_so() -> None:
    async with open_engine(ScriptedBackend(), max_queue_size=3) as engine:
        with pytest.raises(RequestTooLarge, match=r"3"):
            await engine.infer(rows(range(4)))
        assert same(await engine.infer(rows(range(3))), rows(range(3)))


# -- where it runs --------------------------------------------------------------------------------


def _remember_thread(threads: list[str]) -> FunctionBackend:
    def function(x: Array) -> Array:
        threads.append(threading.current_thread().name)
        return -x

    return FunctionBackend(function, inputs=[X], outputs=[tensor("y", "N", 4)])


async def test_without_a_budget_nothing_ever_runs_on_the_loop() -> None:
    threads: list[str] = []
    async with open_engine(_remember_thread(threads), loop_budget=0.0) as engine:
        for _ in range(20):
            await engine.infer(row(1))
        assert engine.statistics().lanes[0].on_loop == 0
    assert set(threads) == {"trtasync function lane 0"}


async def test_short_runs_move_to_the_loop_once_they_are_known_to_be_short() -> None:
    threads: list[str] = []
    here = threading.current_thread().name
    async with open_engine(_remember_thread(threads), loop_budget=60.0) as engine:
        for _ in range(20):
            await engine.infer(row(1))
        (lane,) = engine.statistics().lanes
        assert (lane.batches, lane.on_loop) == (20, 19)
    assert threads == ["trtasync function lane 0"] + [here] * 19


async def test_an_asynchronous_lane_is_polled_when_short_and_waited_for_when_not() -> None:
    for budget, on_loop in ((60.0, 9), (0.0, 0)):
        backend = ScriptedBackend(asynchronous=True, depth=2)
        async with open_engine(backend, loop_budget=budget) as engine:
            for value in range(10):
                assert same(await engine.infer(row(value)), row(value))
            assert engine.statistics().lanes[0].on_loop == on_loop


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("owned", [False, True])
async def test_several_lanes_run_at_once(asynchronous: bool, owned: bool) -> None:
    backend = ScriptedBackend(asynchronous=asynchronous, owned_slots=owned)
    async with opened(backend, streams=3, max_batch_size=1) as engine:
        async with anyio.create_task_group() as tasks:
            backend.gate.shut()
            callers = await submit_all(tasks, engine, range(5))
            await until(lambda: backend.gate.arrived == 3)
            assert [lane.running for lane in engine.statistics().lanes] == [1, 1, 1]
            backend.gate.let()
        assert [caller.answer[0] for caller in callers] == [0, 1, 2, 3, 4]
        assert check_at_rest(engine).batches == 5


# -- statistics -----------------------------------------------------------------------------------


async def test_statistics_count_every_request_once() -> None:
    backend = ScriptedBackend(slots_per_lane=2)
    backend.bad = lambda values: bool(values[0] == 3)
    async with opened(backend, max_batch_size=4, max_queue_size=12) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            callers = await submit_all(tasks, engine, [1, 2, 3])
            large = await submit(tasks, engine, rows(range(10, 17)))
            assert engine.statistics().requests == 5
            with pytest.raises(QueueFull):
                await engine.infer(rows(range(3)))
            with pytest.raises(InvalidInput):
                await engine.infer(row(1, 3))
            callers[1].scope.cancel()
            await ended(callers[1])
            during = engine.statistics()
            assert (during.queued, during.in_flight) == (9, 1)
            assert (during.requests, during.cancelled, during.rejected) == (5, 1, 1)
            assert during.lanes[0].running == 1
            backend.gate.let()
        assert large.answer.shape == (7, 4)
        assert isinstance(callers[2].error, InferenceError)
        after = check_at_rest(engine)
        assert (after.requests, after.answered, after.failed) == (5, 3, 1)
        assert (after.cancelled, after.rejected, after.left_out) == (1, 1, 0)
        assert after.retried >= 1
        assert after.rows == sum(size * times for size, times in after.batch_sizes.items())
        assert after.batches == sum(after.batch_sizes.values())
        assert after.lanes[0].batches >= after.batches
        assert during.requests == 5  # a picture does not change
        assert after.latency.total >= after.queue.total
    assert engine.statistics() == after


async def test_an_unused_engine_has_empty_statistics() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        statistics = check_at_rest(engine)
        assert (statistics.requests, statistics.rows, statistics.batches) == (0, 0, 0)
        assert math.isnan(statistics.latency.mean)
        assert math.isnan(statistics.latency.quantile(0.5))


async def test_times_are_those_of_the_run() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        for _ in range(5):
            await engine.infer(row(1))
        statistics = engine.statistics()
        assert statistics.compute.count == statistics.latency.count == statistics.queue.count == 5
        assert 0 < statistics.compute.total < statistics.latency.total
        assert statistics.latency.quantile(0) <= statistics.latency.quantile(1)
        assert statistics.copy_in.count == 0


# -- backends that keep no promise ----------------------------------------------------------------


class _OddError(InferenceError):
    """An exception that cannot be made from its args."""

    def __init__(self, code: int, text: str):
        super().__init__(f"{code}: {text}")


async def test_an_exception_of_a_backend_s_own_class_reaches_the_caller() -> None:
    def fail(x: Array) -> Array:
        raise _OddError(7, "no")

    backend = FunctionBackend(fail, inputs=[X], outputs=[tensor("y", "N", 4)])
    async with open_engine(backend) as engine:
        for _ in range(3):
            with pytest.raises(InferenceError, match="7: no"):
                await engine.infer(row(1))


@pytest.mark.parametrize("results", [0, 1, 3])
async def test_a_wrong_number_of_outputs_fails_the_request_only(results: int) -> None:
    backend = FunctionBackend(
        lambda x: [x] * (2 if x[0, 0] else results),
        inputs=[X],
        outputs=[tensor("y", "N", 4), tensor("z", "N", 4)],
    )
    async with open_engine(backend) as engine:
        for _ in range(2):
            with pytest.raises(InferenceError, match="2 outputs"):
                await engine.infer(row(0))
            assert list(await engine.infer(row(1))) == ["y", "z"]


async def test_outputs_with_too_few_or_too_many_rows_are_those_of_a_request_by_itself() -> None:
    def function(x: Array) -> Array:
        return {0: x, 1: x[1:], 2: np.concatenate([x, x]), 3: np.float32(3) * np.ones(())}[
            int(x[0, 0])
        ]

    backend = FunctionBackend(function, inputs=[X], outputs=[tensor("y", "N", 4)])
    async with open_engine(backend) as engine:
        for value in (1, 2, 3):
            answer = await engine.infer(rows([value]))
            assert same(answer, function(rows([value])))
            with pytest.raises(InferenceError, match="cannot be told apart"):
                await engine.infer(row(value))  # one row has one answer
            assert same(await engine.infer(row(0)), row(0))


class _Broken(ScriptedBackend):
    """Breaks a promise of the seam, in every batch that needs it kept."""

    broken = ""

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        lanes = super().open(streams, max_batch_size, batch_sizes)
        for lane in lanes:
            if self.broken == "outputs":
                vars(lane.lane)["wait"] = partial(self._forget, lane.lane)
            for slot in lane.slots:
                if self.broken in ("pad", "move"):
                    vars(slot)[self.broken] = self._raise
        return lanes

    def _raise(self, *_: object) -> None:
        raise RuntimeError("this part is broken")

    def _forget(self, lane: Any, slot: Any) -> Times:
        times = FunctionLane.wait(lane, slot)
        slot.outputs = []
        return times


@pytest.mark.parametrize("broken", ["pad", "move", "outputs"])
@pytest.mark.parametrize("loop_budget", [0.0, 60.0])
async def test_a_backend_that_breaks_a_promise_fails_its_batches(
    broken: str, loop_budget: float
) -> None:
    backend = _Broken()
    backend.broken = broken
    async with opened(backend, batch_sizes=[4], loop_budget=loop_budget) as engine:
        async with anyio.create_task_group() as tasks:
            backend.gate.shut()
            first = await submit(tasks, engine, rows([1, 2, 3, 4]))
            await until(lambda: backend.gate.arrived == 1)
            second, third = await submit_all(tasks, engine, [5, 6])
            waits = await submit(tasks, engine, rows(range(9)))
            second.scope.cancel()
            backend.gate.let()
        assert (first.error is None) is (broken != "outputs")
        # with "pad" the third still went, in a full batch; with "move" what waits had no withdrawn
        failed = {"pad": [waits], "move": [third], "outputs": [third, waits]}[broken]
        assert all(isinstance(caller.error, InferenceError) for caller in failed)
        if broken == "outputs":
            with pytest.raises(InferenceError, match="could not be handed out"):
                await engine.infer(rows(range(4)))
        else:
            assert same(await engine.infer(rows(range(4))), rows(range(4)))
        check_at_rest(engine)


async def test_a_bug_fails_callers_and_hangs_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine:
        async with anyio.create_task_group() as tasks:
            first = await hold(tasks, engine, backend)
            second, third = await submit_all(tasks, engine, [5, 6])
            monkeypatch.setattr(engine._dispatcher.policy, "finished", _raise_bug)
            second.scope.cancel()
            backend.gate.let()
        assert same(first.answer, row(-1))
        assert "please report" in str(third.error)
        assert "please report" in caplog.text
        with pytest.raises(TrtasyncError, match="please report"):
            await engine.infer(row(1))


def _raise_bug(*_: object) -> None:
    raise RuntimeError("this part is broken")


# -- many at once ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loop_budget": 0.0},
        {"streams": 3, "loop_budget": 0.0},
        {"batch_sizes": [1, 4, 16]},
        {"max_queue_delay": 0.001},
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_many_callers_each_get_their_own(options: dict[str, Any], asynchronous: bool) -> None:
    backend = ScriptedBackend(
        lambda x: x * np.float32(2), asynchronous=asynchronous, depth=2 if asynchronous else 1
    )
    wrong: list[Sequence[float]] = []

    async def client(number: int) -> None:
        for turn in range(10):
            values = [number * 1000 + turn * 10 + line for line in range(1 + number % 3)]
            if not same(await engine.infer(rows(values)), rows(values) * np.float32(2)):
                wrong.append(values)

    async with open_engine(backend, **options) as engine:
        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(client, number)
        assert wrong == []
        assert check_at_rest(engine).answered == 300
