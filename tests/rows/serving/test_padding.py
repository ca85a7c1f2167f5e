"""Padded requests get no padding back."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from support.helpers import at_once, same
from support.onnx_models import Make, constant, node
from tests.rows.serving.runtime import alone, floats
from trtasync import Cut, InferenceError, InvalidInput, Pad, open_engine

pytestmark = pytest.mark.anyio


@pytest.fixture
def convolution(make: Make) -> Path:
    """Each number and its two neighbours added up: two numbers fewer than came, whatever the
    declaration says."""
    return make(
        [node("Conv", ["x", "w"], ["y"])],
        {"x": ["N", 1, "len"]},
        {"y": ["N", 1, "len"]},
        {"w": np.ones((1, 1, 3), np.float32)},
    )


async def test_an_output_of_another_length_than_the_padding_is_not_cut_by_its_name(
    convolution: Path,
) -> None:
    x = np.full((1, 5), 2, np.float32)
    async with open_engine(convolution, padding={"x": Pad(axis=2, multiple_of=8)}) as engine:
        for request in (x, {"x": x[np.newaxis]}):
            with pytest.raises(InferenceError, match=r"padded to 8.*'y': Cut\("):
                await engine.infer(request)
            with pytest.raises(InferenceError, match=r"'y': Cut\("):
                await engine.infer(request, copy=False)
        exact = np.ones((1, 8), np.float32)
        assert same(await engine.infer(exact), np.full((1, 6), 3, np.float32))
        statistics = engine.statistics()
        assert (statistics.failed, statistics.answered) == (4, 1)


async def test_a_cut_says_how_long_the_true_part_is(convolution: Path) -> None:
    rule = Pad(axis=2, multiple_of=8, outputs={"y": Cut(axis=2, length=lambda n: n - 2)})
    requests = [np.full((1, n), n, np.float32) for n in (5, 3, 8, 9)]
    async with open_engine(convolution, padding={"x": rule}) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(convolution, x[np.newaxis])[0][0])


async def test_a_cut_that_is_no_number_fails_its_request_alone(convolution: Path) -> None:
    x = np.ones((1, 5), np.float32)
    lengths: list[Any] = [lambda n: n / 2, lambda n: "4", lambda n: 1 // 0]
    for length in lengths:
        rule = Pad(axis=2, multiple_of=8, outputs={"y": Cut(axis=2, length=length)})
        async with open_engine(convolution, padding={"x": rule}) as engine:
            with pytest.raises(InvalidInput, match="whole number"):
                await engine.infer(x)
            exact = np.ones((1, 8), np.float32)
            assert same(await engine.infer(exact), np.full((1, 6), 3, np.float32))


@pytest.mark.parametrize("rank", [2, None])
async def test_padding_that_no_name_tells_of_is_not_handed_out(
    make: Make, rank: int | None
) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": ["n", "len"]}, {"y": ["n", "out_len"]})
    if rank is None:
        model = onnx.load(path)
        model.graph.output[0].type.tensor_type.ClearField("shape")
        onnx.save(model, path)
    x = np.ones(13, np.float32)
    async with open_engine(path, padding={"x": Pad(axis=1, multiple_of=16)}) as engine:
        if engine.outputs[0].shape == ("n", "len"):  # the runtime knows better
            assert same(await engine.infer(x), x)
        else:
            with pytest.raises(InferenceError, match=r"'y': Cut\("):
                await engine.infer(x)
        assert same(await engine.infer(np.ones(16, np.float32)), np.ones(16, np.float32))


async def test_what_runs_alone_is_padded_all_the_same(make: Make) -> None:
    path = make(
        [constant("axis", 0), node("CumSum", ["x", "axis"], ["y"])],
        {"x": ["T", "len"]},
        {"y": ["T", "len"]},
    )
    async with open_engine(path, padding={"x": Pad(axis=1, multiple_of=8)}) as engine:
        assert not engine.batching.batched
        for x in (floats(3, 5), floats(2, 8), floats(5)):
            answer = await engine.infer(x)
            assert same(answer, np.cumsum(x.reshape(-1, x.shape[-1]), axis=0).reshape(x.shape))
