"""What an answer keeps alive: its own bytes, and not the buffers of the batch it came from."""

import gc
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import MODELS, Array, ended, hold, opened, row, rows, start, submit_all, tensor
from trtasync import open_engine
from trtasync.core.completion import LARGE_ANSWER_BYTES, SHARED_ROW_BYTES, plain_rows
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


def kept(answer: Array) -> float:
    """Bytes that an array keeps alive; inf where that is a runtime's to say."""
    base: Any = answer
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return float(base.nbytes) if isinstance(base, np.ndarray) else np.inf


def runtime_owned(array: Array) -> Array:
    """The same numbers in memory that numpy does not own, like outputs of ONNX Runtime."""
    owner = bytearray(array.tobytes())
    return np.frombuffer(memoryview(owner), array.dtype).reshape(array.shape)


@pytest.mark.parametrize("width", [1, 3, SHARED_ROW_BYTES // 4, 1000])
@pytest.mark.parametrize(("rows", "run"), [(1, 1), (1, 64), (5, 64), (64, 64)])
@pytest.mark.parametrize("lent", [False, True])
@pytest.mark.parametrize("own", [np.copy, runtime_owned])
def test_a_row_keeps_little_more_than_itself(
    width: int, rows: int, run: int, lent: bool, own: Any
) -> None:
    output = own(np.arange(run * width, dtype=np.float32).reshape(run, width))
    answers = plain_rows(output, rows, lent)
    for index, answer in enumerate(answers):
        assert np.array_equal(answer, output[index])
        assert kept(answer) <= max(answer.nbytes, rows * SHARED_ROW_BYTES)


@pytest.mark.parametrize("own", [np.copy, runtime_owned])
def test_a_large_answer_is_not_copied_once_more(own: Any) -> None:
    output = own(np.zeros((1, LARGE_ANSWER_BYTES // 4), np.float32))
    (answer,) = plain_rows(output, 1, lent=False)
    assert np.shares_memory(answer, output)
    (copied,) = plain_rows(output, 1, lent=True)
    assert not np.shares_memory(copied, output)


async def test_answers_of_the_runtime_are_arrays_of_their_own() -> None:
    image = np.random.default_rng(3).random((1, 8, 32)).astype(np.float32)
    async with open_engine(MODELS / "digits_line.onnx", max_batch_size=4) as engine:
        answers = [await engine.infer(image), await engine.infer(image[np.newaxis])]
        async with anyio.create_task_group() as tasks:
            callers = [start(tasks, engine, image) for _ in range(6)]
            await ended(*callers)
        answers += [caller.answer for caller in callers]
    for answer in answers:
        assert kept(answer) <= max(answer.nbytes, 4 * SHARED_ROW_BYTES)


async def test_a_row_left_over_from_a_large_batch_keeps_no_batch_alive() -> None:
    backend = ScriptedBackend(
        inputs=[tensor("x", "N", 4)], outputs=[tensor("y", "N", "W")], function=_widen
    )
    async with opened(backend, max_batch_size=8, batch_sizes=[8]) as engine:
        answer = await engine.infer(row(1))
        assert kept(answer) == answer.nbytes
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            callers = await submit_all(tasks, engine, range(5))
            backend.gate.let()
            await ended(*callers)
        assert [kept(caller.answer) for caller in callers] == [answer.nbytes] * 5


def _widen(x: Array) -> Array:
    return np.repeat(x, 1000, axis=1)


async def test_a_slot_keeps_no_outputs_of_the_runtime() -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine:
        await engine.infer(rows([1, 2]))
        gc.collect()
        slots = engine._core.policy.slots.all
        assert [slot.outputs for slot in slots] == [[] for _ in slots]
