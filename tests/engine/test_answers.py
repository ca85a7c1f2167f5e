"""Answers: their form, their memory, and each caller's own."""

from collections.abc import Sequence
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from support.helpers import (
    Array,
    check_at_rest,
    ended,
    hold,
    opened,
    row,
    rows,
    same,
    submit_all,
    tensor,
)
from tests.engine.models import X, pair
from trtasync import open_engine
from trtasync.testing import FunctionBackend, ScriptedBackend

pytestmark = pytest.mark.anyio


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
