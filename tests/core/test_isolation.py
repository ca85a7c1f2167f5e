"""One bad row fails alone: a batch that fails is run again in halves."""

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.helpers import (
    MODELS,
    Array,
    Caller,
    check_at_rest,
    ended,
    hold,
    opened,
    row,
    rows,
    same,
    start,
    submit_all,
    tensor,
    until,
)
from trtasync import InferenceError, Pad, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


def negative(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> bool:
    return bool(values[0] < 0)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("loop_budget", [0.0, 1.0])
async def test_31_neighbours_of_a_bad_row(loop_budget: float, asynchronous: bool) -> None:
    backend = ScriptedBackend(asynchronous=asynchronous)
    backend.bad = negative
    async with open_engine(backend, max_batch_size=32, loop_budget=loop_budget) as engine:
        await engine.infer(rows(range(32)))  # so that its time is known
        async with anyio.create_task_group() as tasks:
            callers = [
                start(tasks, engine, row(index if index != 13 else -13)) for index in range(32)
            ]
            await ended(*callers)
        for index, caller in enumerate(callers):
            if index == 13:
                assert isinstance(caller.error, InferenceError)
                assert "bad" in str(caller.error)
            else:
                assert same(caller.answer, row(index))
        seen = check_at_rest(engine)
        assert (seen.failed, seen.retried) == (1, 1)


async def test_a_request_fails_as_a_whole() -> None:
    backend = ScriptedBackend()
    backend.bad = negative
    async with open_engine(backend, max_batch_size=8) as engine:
        async with anyio.create_task_group() as tasks:
            good = start(tasks, engine, rows([1, 2]))
            bad = start(tasks, engine, rows([3, -4, 5]))
            other = start(tasks, engine, row(6))
            await ended(good, bad, other)
        assert same(good.answer, rows([1, 2]))
        assert isinstance(bad.error, InferenceError)
        assert same(other.answer, row(6))
        assert check_at_rest(engine).failed == 1


async def test_a_split_request_with_a_bad_row_fails_once() -> None:
    backend = ScriptedBackend()
    backend.bad = negative
    async with open_engine(backend, max_batch_size=2) as engine:
        with pytest.raises(InferenceError):
            await engine.infer(rows([1, 2, 3, -4, 5, 6, 7]))
        assert same(await engine.infer(rows(range(5))), rows(range(5)))
        assert check_at_rest(engine).failed == 1


async def test_everyone_gets_an_exception_of_his_own() -> None:
    backend = ScriptedBackend()
    backend.bad = negative
    async with (
        open_engine(backend, max_batch_size=4) as engine,
        anyio.create_task_group() as tasks,
    ):
        callers = [start(tasks, engine, row(-1 - index)) for index in range(4)]
        await ended(*callers)
    errors = [caller.error for caller in callers]
    assert all(isinstance(error, InferenceError) for error in errors)
    assert len({id(error) for error in errors}) == 4


async def test_an_index_out_of_range_on_onnxruntime() -> None:
    async with open_engine(MODELS / "gather.onnx", max_batch_size=32) as engine:
        table = await engine.infer(np.arange(16))
        async with anyio.create_task_group() as tasks:
            wanted = [index % 16 if index != 20 else 99 for index in range(32)]
            callers = [start(tasks, engine, np.array(index, np.int64)) for index in wanted]
            await ended(*callers)
        for index, caller in zip(wanted, callers, strict=True):
            if index == 99:
                assert isinstance(caller.error, InferenceError)
                assert "out of data bounds" in str(caller.error.__cause__)
            else:
                assert same(caller.answer, table[index])
        assert check_at_rest(engine).failed == 1


async def _run(sizes: list[int], bad: set[int], batch_sizes: list[int] | None) -> None:
    backend = ScriptedBackend()
    backend.bad = negative
    async with open_engine(
        backend, max_batch_size=16, batch_sizes=batch_sizes, loop_budget=0.0
    ) as engine:
        callers: list[Caller] = []
        async with anyio.create_task_group() as tasks:
            for index, size in enumerate(sizes):
                sign = -1 if index in bad else 1
                callers.append(start(tasks, engine, rows([sign * (index + 1)] * size)))
            await ended(*callers)
        for index, (caller, size) in enumerate(zip(callers, sizes, strict=True)):
            if index in bad:
                assert isinstance(caller.error, InferenceError)
            else:
                assert same(caller.answer, rows([index + 1] * size))
        check_at_rest(engine)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    bad=st.sets(st.integers(0, 11)),
    batch_sizes=st.sampled_from([None, [4, 16], [1, 2, 4, 8, 16]]),
)
def test_whoever_is_bad_the_others_get_theirs(
    sizes: list[int], bad: set[int], batch_sizes: list[int] | None
) -> None:
    anyio.run(_run, sizes, bad, batch_sizes)


async def test_who_leaves_while_his_batch_is_run_again_is_not_answered() -> None:
    backend = ScriptedBackend()
    backend.bad = negative
    async with opened(backend) as engine, anyio.create_task_group() as tasks:
        blocker = await hold(tasks, engine, backend)
        good, leaves, bad = await submit_all(tasks, engine, [1, 2, -3])
        backend.gate.let(2)  # the blocker, and the three together
        await until(lambda: engine.statistics().retried == 1)
        leaves.scope.cancel()
        await ended(leaves)
        backend.gate.let()
        await ended(blocker, good, bad)
        assert same(good.answer, row(1))
        assert isinstance(bad.error, InferenceError)
        seen = check_at_rest(engine)
        assert (seen.answered, seen.failed, seen.cancelled) == (1, 2, 1)


async def test_an_answer_that_cannot_be_made_after_a_second_run_fails_alone() -> None:
    """The model's answer to 2 is not as long as its padding says."""

    def function(x: Array) -> Array:
        return x[:, :3] if (x == 2).any() else x

    inputs, outputs = [tensor("x", "N", "n")], [tensor("y", "N", "n")]
    backend = ScriptedBackend(function, inputs=inputs, outputs=outputs)
    backend.bad = negative
    async with opened(backend, padding={"x": Pad(axis=1, sizes=(8,))}) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            good, odd, bad = await submit_all(tasks, engine, [1, 2, -3])
            backend.gate.let()
        assert same(good.answer, row(1))
        assert "where its true part ends is not known" in str(odd.error)
        assert "bad" in str(bad.error)
        assert check_at_rest(engine).retried == 1
