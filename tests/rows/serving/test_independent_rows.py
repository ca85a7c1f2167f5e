"""Rows that do not know each other are batched, whatever axis they lie along."""

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.helpers import Array, at_once, same
from support.onnx_models import Make, constant, node
from tests.rows.serving.runtime import alone, floats
from trtasync import open_engine
from trtasync.requests.reader import MAX_SHARED_BYTES

pytestmark = pytest.mark.anyio


async def test_names_that_an_exporter_made_up_stand_in_nobody_s_way(make: Make) -> None:
    path = make(
        [node("Add", ["a", "b"], ["y"])],
        {"a": ["unk__1", 4], "b": ["unk__2", 4]},
        {"y": ["unk__3", 4]},
    )
    pairs = [(floats(4, seed=seed), floats(4, seed=seed + 9)) for seed in range(8)]
    async with open_engine(path) as engine:
        assert engine.batching.batched
        for answer, (a, b) in zip(await at_once(engine, pairs), pairs, strict=True):
            assert same(answer["y"], a + b)
        assert engine.statistics().batches < len(pairs)


RECURRENT_INPUTS = {"x": ["batch", 3], "state": [2, "batch", 5], "rate": []}
RECURRENT_OUTPUTS = {"y": ["batch", 5], "states": [2, "batch", 5]}


@pytest.fixture
def recurrent(make: Make) -> Path:
    """The new state is the old one, scaled by a number that all share, and a function of x."""
    return make(
        [
            node("MatMul", ["x", "w"], ["seen"]),
            node("Mul", ["state", "rate"], ["faded"]),
            node("Add", ["faded", "seen"], ["sum"]),
            node("Tanh", ["sum"], ["states"]),
            constant("last", np.array(1)),
            node("Gather", ["states", "last"], ["y"], axis=0),
        ],
        RECURRENT_INPUTS,
        RECURRENT_OUTPUTS,
        {"w": floats(3, 5)},
    )


@pytest.mark.parametrize("batching", ["auto", True])
async def test_each_tensor_has_its_own_batch_axis(recurrent: Path, batching: Any) -> None:
    def one(seed: int, rate: float) -> tuple[Array, Array, Array]:
        return floats(3, seed=seed), floats(2, 5, seed=seed + 100), np.asarray(rate, np.float32)

    requests = [one(seed, 0.5 if seed % 2 else 0.25) for seed in range(8)]
    async with open_engine(recurrent, batching=batching) as engine:
        assert engine.batching.batched
        assert [spec.batch_axis for spec in engine.inputs] == [0, 1, None]
        assert [spec.batch_axis for spec in engine.outputs] == [0, 1]
        for answer, (x, state, rate) in zip(await at_once(engine, requests), requests, strict=True):
            y, states = alone(recurrent, x[np.newaxis], state[:, np.newaxis], rate)
            np.testing.assert_allclose(answer["y"], y[0], rtol=1e-6)
            np.testing.assert_allclose(answer["states"], states[:, 0], rtol=1e-6)
        assert engine.statistics().batches < len(requests)


async def test_rows_along_another_axis_come_back_along_it(recurrent: Path) -> None:
    x, state, rate = floats(20, 3), floats(2, 20, 5), np.asarray(0.5, np.float32)
    async with open_engine(recurrent, max_batch_size=8) as engine:
        answer = await engine.infer({"x": x, "state": state, "rate": rate})
        y, states = alone(recurrent, x, state, rate)
        assert answer["states"].shape == (2, 20, 5)
        assert answer["states"].flags.c_contiguous
        np.testing.assert_allclose(answer["y"], y, rtol=1e-6)
        np.testing.assert_allclose(answer["states"], states, rtol=1e-6)
        with await engine.infer({"x": x, "state": state, "rate": rate}, copy=False) as lent:
            np.testing.assert_allclose(lent["states"], states, rtol=1e-6)
        empty = engine.empty_input(4, name="state")
        assert empty.shape == (2, 4, 5)
        assert engine.statistics().batches >= 3  # split over batches of 8


async def test_requests_that_differ_in_a_shared_input_get_their_own_answers(make: Make) -> None:
    path = make(
        [node("Mul", ["x", "table"], ["y"])], {"x": ["N", 4], "table": [4]}, {"y": ["N", 4]}
    )
    table = np.ones(4, np.float32)
    async with open_engine(path) as engine:
        assert engine.batching.batched
        answers = await at_once(engine, [(floats(4), table * k) for k in (1, 2, 2, 3)])
        for answer, factor in zip(answers, (1, 2, 2, 3), strict=True):
            assert same(answer["y"], floats(4) * np.float32(factor))


async def test_large_shared_inputs_are_not_kept_without_end(make: Make) -> None:
    path = make(
        [node("MatMul", ["x", "w"], ["y"])], {"x": ["N", 256], "w": [256, 256]}, {"y": ["N", 256]}
    )
    kept: list[weakref.ref[Any]] = []
    async with open_engine(path) as engine:
        for value in range(600):  # 0.25 MiB each
            w = np.full((256, 256), value, np.float32)
            answer = await engine.infer({"x": np.ones((1, 256), np.float32), "w": w})
            assert answer["y"][0, 0] == 256 * value
            _, layout = list(engine._reader._queues.values())[-1]
            kept.append(weakref.ref(layout.shared[0]))
        del layout
        gc.collect()
        alive = sum(ref() is not None for ref in kept)
        assert alive * w.nbytes <= MAX_SHARED_BYTES + 4 * w.nbytes
