"""Batched is the same as alone, bit by bit."""

from typing import Any

import numpy as np
import pytest

from examples.digit_lines import lines
from support.helpers import MODELS, Array, at_once, check_at_rest, same
from trtasync import Cut, Pad, open_engine
from trtasync.runtimes.onnxruntime import load

pytestmark = pytest.mark.anyio

ROUNDING = 3e-7
"""digits_pair is the exception: onnxruntime's own sums differ with the size of the batch."""


class Alone:
    """What onnxruntime by itself says to one row."""

    def __init__(self, model: str):
        self._session = load(MODELS / model, 1)._session
        self._names = [node.name for node in self._session.get_inputs()]

    def __call__(self, *inputs: Array) -> Array:
        batch = [array[np.newaxis] for array in inputs]
        answer: Array = self._session.run(None, dict(zip(self._names, batch, strict=True)))[0][0]
        return answer


def images(count: int) -> list[Array]:
    return [line.image for line in lines(count, seed=1)]


@pytest.mark.parametrize("loop_budget", [0.0, 0.05])
@pytest.mark.parametrize("streams", [1, 2, 3])
async def test_pairs_batched_are_pairs_alone_up_to_rounding(
    streams: int, loop_budget: float
) -> None:
    rng = np.random.default_rng(0)
    pairs = [tuple(rng.random((2, 64), np.float32)) for _ in range(100)]
    single = Alone("digits_pair.onnx")
    async with open_engine(
        MODELS / "digits_pair.onnx", streams=streams, max_batch_size=16, loop_budget=loop_budget
    ) as engine:
        for _ in range(2):
            answers = await at_once(engine, pairs)
            for answer, pair in zip(answers, pairs, strict=True):
                assert list(answer) == ["same_probability"]
                assert answer["same_probability"].dtype == np.float32
                np.testing.assert_allclose(
                    answer["same_probability"], single(*pair), rtol=ROUNDING, atol=ROUNDING
                )
        statistics = check_at_rest(engine)
        assert statistics.rows == 200
        assert statistics.batches < 200  # some were batched, or this test shows nothing


async def test_lookups_batched_are_the_bits_of_lookups_alone() -> None:
    single = Alone("gather.onnx")
    indices = [np.array(index) for index in (*range(16), *range(-16, 0))]
    async with open_engine(MODELS / "gather.onnx", max_batch_size=32) as engine:
        for answer, index in zip(await at_once(engine, indices), indices, strict=True):
            assert same(answer, single(index))


async def test_lines_of_every_width_batched_are_the_bits_of_lines_alone() -> None:
    single = Alone("digits_line.onnx")
    requests = images(30) * 3
    async with open_engine(MODELS / "digits_line.onnx", max_batch_size=8) as engine:
        for answer, image in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, single(image))
        assert check_at_rest(engine).batches < len(requests)


@pytest.mark.parametrize("rule", [{"multiple_of": 32}, {"sizes": (64, 128)}])
async def test_padded_lines_cut_back_are_the_bits_of_lines_alone(rule: dict[str, Any]) -> None:
    single = Alone("digits_line.onnx")
    requests = images(40)
    pad = Pad(axis=-1, outputs={"probs": Cut(axis=1, length=lambda width: width - 7)}, **rule)
    async with open_engine(
        MODELS / "digits_line.onnx", max_batch_size=16, padding={"image": pad}
    ) as engine:
        for answer, image in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, single(image))
        assert check_at_rest(engine).batches < 20  # widths share batches


async def test_padded_lines_with_their_width_are_the_bits_of_lines_alone() -> None:
    single = Alone("digits_line.onnx")
    requests = images(40)
    pad = Pad(
        axis=-1,
        multiple_of=128,
        value=0.5,  # ink: what tells the reader to ignore it is the width
        outputs={"probs": Cut(axis=1, length=lambda width: width - 7)},
    )
    async with open_engine(
        MODELS / "digits_linew.onnx", max_batch_size=32, padding={"image": pad}
    ) as engine:
        inputs = [
            {"width": np.array(image.shape[-1], np.int64), "image": image} for image in requests
        ]
        for answer, image in zip(await at_once(engine, inputs), requests, strict=True):
            assert same(answer["probs"], single(image))
        assert check_at_rest(engine).batches < 10


async def test_padded_batch_sizes_are_the_bits_of_rows_alone() -> None:
    single = Alone("gather.onnx")
    async with open_engine(MODELS / "gather.onnx", batch_sizes=(4, 8)) as engine:
        three = await engine.infer(np.array([1, 2, 3]))
        assert same(three, np.stack([single(np.array(index)) for index in (1, 2, 3)]))
        statistics = check_at_rest(engine)
        assert (statistics.rows, statistics.padded_rows) == (3, 1)


async def test_answers_are_the_caller_s_own() -> None:
    async with open_engine(MODELS / "gather.onnx", max_batch_size=4) as engine:
        first = await engine.infer(np.array(3))
        kept = first.copy()
        await at_once(engine, [np.array(index) for index in range(8)])
        assert same(first, kept)
        assert first.flags.writeable
        one, two = await at_once(engine, [np.array(5), np.array(5)])
        one[:] = -1
        assert two.tolist() == [20, 21, 22, 23]
