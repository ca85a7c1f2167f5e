"""Rows that influence each other run alone: every request as if there were no other."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.helpers import at_once, same
from support.onnx_models import FLOAT, INT64, Make, constant, node
from tests.rows.serving.runtime import alone, floats
from trtasync import open_engine
from trtasync.rows import Verdict

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("options", [{}, {"max_batch_size": 1}, {"max_batch_size": 64}])
async def test_a_sum_over_the_first_axis_is_one_run(
    cumulated: Path, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "trtasync"):
        async with open_engine(cumulated, **options) as engine:
            requests = [floats(20, 4), floats(3, 4), floats(20, 4, seed=1), floats(1, 4)]
            for answer, x in zip(await at_once(engine, requests), requests, strict=True):
                assert same(answer, alone(cumulated, x)[0])
            assert not engine.batching.batched
            (finding,) = engine.batching.findings
            assert (finding.output, finding.verdict) == ("y", Verdict.COUPLED)
    (warning,) = caplog.messages
    for words in ("model: ", "'y'", "coupled", "batching=True", "batching=False", "batch_axes"):
        assert words in warning


async def test_a_row_alone_keeps_its_form(cumulated: Path) -> None:
    """The request's form does not hang on what was found of the rows."""
    async with open_engine(cumulated) as engine:
        x = floats(4)
        assert same(await engine.infer(x), x)
        answer = await engine.infer({"x": x})
        assert same(answer["y"], x)


async def test_sorted_boxes_are_nobody_else_s(make: Make) -> None:
    path = make(
        [
            constant("zero", np.array([0])),
            constant("column", np.array([4])),
            constant("one", np.array([1])),
            node("Shape", ["boxes"], ["shape"]),
            node("Gather", ["shape", "zero"], ["rows"]),
            node("Gather", ["boxes", "column"], ["scores"], axis=1),
            node("Squeeze", ["scores", "one"], ["flat"]),
            node("TopK", ["flat", "rows"], ["values", "order"], axis=0),
            node("Gather", ["boxes", "order"], ["sorted"]),
        ],
        {"boxes": ["N", 5]},
        {"sorted": ["N", 5]},
    )
    requests = [floats(7, 5, seed=seed) for seed in range(4)]
    async with open_engine(path) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(path, x)[0])


async def test_any_number_of_rows_may_come_of_a_request(detector: Path) -> None:
    requests = [floats(9, 6, seed=seed) for seed in range(4)]
    requests.append(-np.abs(requests[0]))
    async with open_engine(detector) as engine:
        answers = await at_once(engine, requests)
        for answer, x in zip(answers, requests, strict=True):
            assert same(answer, alone(detector, x)[0])
        assert len(answers[-1]) == 0


async def test_a_waveform_is_one_request(make: Make) -> None:
    path = make(
        [
            constant("rows", np.array([-1, 8])),
            node("Reshape", ["samples", "rows"], ["frames"]),
        ],
        {"samples": ["samples"]},
        {"frames": ["frames", 8]},
    )
    async with open_engine(path, max_queue_size=10) as engine:
        x = floats(16000)
        assert same(await engine.infer(x), x.reshape(-1, 8))


async def test_a_square_matrix_has_no_batch_axis(make: Make) -> None:
    path = make([node("Softmax", ["x"], ["y"], axis=0)], {"x": ["N", "N"]}, {"y": ["N", "N"]})
    requests = [floats(12, 12), floats(12, 12, seed=1), floats(3, 3)]
    async with open_engine(path) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(path, x)[0])


async def test_a_floor_by_the_loudest_of_the_batch_is_found(make: Make) -> None:
    path = make(
        [
            constant("range", np.float32(8)),
            constant("tiny", np.float32(1e-6)),
            node("Abs", ["x"], ["size"]),
            node("Max", ["size", "tiny"], ["least"]),
            node("Log", ["least"], ["loudness"]),
            node("ReduceMax", ["loudness"], ["loudest"], keepdims=0),
            node("Sub", ["loudest", "range"], ["floor"]),
            node("Max", ["loudness", "floor"], ["y"]),
        ],
        {"x": ["N", 16]},
        {"y": ["N", 16]},
    )
    requests = [floats(16, seed=seed) * 10.0 ** (seed - 2) for seed in range(5)]
    requests = [x.astype(np.float32) for x in requests]
    async with open_engine(path) as engine:
        assert not engine.batching.batched
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(path, x[np.newaxis])[0][0])


@pytest.fixture
def quantized(make: Make) -> Path:
    rng = np.random.default_rng(0)
    return make(
        [
            node("DynamicQuantizeLinear", ["x"], ["xq", "scale", "zero"]),
            node("MatMulInteger", ["xq", "w", "zero", "wz"], ["sums"]),
            node("Cast", ["sums"], ["wide"], to=FLOAT),
            node("Mul", ["scale", "ws"], ["factor"]),
            node("Mul", ["wide", "factor"], ["y"]),
        ],
        {"x": ["N", 8]},
        {"y": ["N", 4]},
        {
            "w": rng.integers(-100, 100, (8, 4)).astype(np.int8),
            "wz": np.int8(0),
            "ws": np.float32(0.01),
        },
    )


async def test_rows_that_are_quantized_together_run_alone_unless_told(
    quantized: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quiet, loud = floats(8), floats(8, seed=1) * np.float32(1000)
    with caplog.at_level(logging.WARNING, "trtasync"):
        async with open_engine(quantized) as engine:
            for answer, x in zip(await at_once(engine, [quiet, loud]), [quiet, loud], strict=True):
                assert same(answer, alone(quantized, x[np.newaxis])[0][0])
    assert "DynamicQuantizeLinear" in caplog.messages[0]
    async with open_engine(quantized, batching=True) as engine:
        assert engine.batching.batched
        first, _ = await at_once(engine, [quiet, loud])
        assert not same(first, alone(quantized, quiet[np.newaxis])[0][0])


async def test_an_axis_that_requests_bring_along_decides_nothing_unseen(make: Make) -> None:
    path = make(
        [node("CumSum", ["x", "axis"], ["y"])],
        {"x": ["batch", 3], "axis": ([], INT64)},
        {"y": ["batch", 3]},
    )
    requests = [(floats(2, 3, seed=seed), np.array(seed % 2)) for seed in range(8)]
    async with open_engine(path) as engine:
        for answer, request in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer["y"], alone(path, *request)[0])


@pytest.mark.parametrize("most", [7, 1000])
async def test_what_the_graph_shows_to_mix_is_not_batched_for_lack_of_a_sign(
    make: Make, most: int
) -> None:
    path = make(
        [
            constant("from", np.array([0])),
            constant("to", np.array([most])),
            node("Slice", ["x", "from", "to"], ["y"]),
        ],
        {"x": ["N", 4]},
        {"y": ["M", 4]},
    )
    async with open_engine(path) as engine:
        (finding,) = engine.batching.findings
        assert "takes some of the rows" in finding.why
        x = floats(2 * most, 4)
        assert same(await engine.infer(x), x[:most])


async def test_what_counts_the_rows_is_not_batched(make: Make) -> None:
    path = make(
        [
            constant("six", np.array([6])),
            constant("zero", np.array([0])),
            node("Shape", ["x"], ["shape"]),
            node("Gather", ["shape", "zero"], ["rows"]),
            node("Greater", ["rows", "six"], ["many"]),
            node("Cast", ["many"], ["more"], to=FLOAT),
            node("Add", ["x", "more"], ["y"]),
        ],
        {"x": ["N", 3]},
        {"y": ["N", 3]},
    )
    requests = [floats(2, 3, seed=seed) for seed in range(5)]
    async with open_engine(path) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, x)
