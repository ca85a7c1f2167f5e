"""A request that ran by itself needs no rows to be told apart."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest

from support.helpers import at_once, same
from support.onnx_models import INT64, Make, constant, node
from tests.rows.serving.runtime import alone, floats
from trtasync import InferenceError, open_engine

pytestmark = pytest.mark.anyio


@pytest.fixture
def reshaped(make: Make) -> Path:
    """Any shape that the request asks for: as many rows as came, where the check looks."""
    return make(
        [node("Expand", ["x", "shape"], ["y"])],
        {"x": ["batch", 1], "shape": ([2], INT64)},
        {"y": ["rows", "columns"]},
    )


async def test_a_request_by_itself_gets_what_came(reshaped: Path) -> None:
    """Also where the check has seen rows, with other values than are asked."""
    x = floats(1, 1)
    async with open_engine(reshaped, batching=True) as engine:
        for shape in ([3, 4], [1, 2], [5, 1]):
            answer = await engine.infer({"x": x, "shape": np.array(shape)})
            assert same(answer["y"], np.broadcast_to(x, shape))
        with await engine.infer({"x": x, "shape": np.array([3, 4])}, copy=False) as lent:
            assert lent["y"].shape == (3, 4)
        statistics = engine.statistics()
        assert (statistics.answered, statistics.failed) == (4, 0)


async def test_requests_whose_rows_cannot_be_told_apart_are_run_one_by_one(
    detector: Path, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [floats(3, 6, seed=seed) for seed in range(6)]
    with caplog.at_level(logging.WARNING, "trtasync"):
        async with open_engine(
            detector, batching=True, max_batch_size=9, max_queue_delay=0.2
        ) as engine:
            for _ in range(2):
                answers = await at_once(engine, requests)
                for answer, x in zip(answers, requests, strict=True):
                    assert same(answer, alone(detector, x)[0])
            statistics = engine.statistics()
            assert (statistics.answered, statistics.failed) == (12, 0)
            assert statistics.retried >= 1
    (warning,) = caplog.messages
    assert "'y'" in warning
    assert "batching=False" in warning


async def test_padded_rows_are_nobody_s(detector: Path) -> None:
    """What the rows that fill a batch up have added cannot be taken out again."""
    async with open_engine(detector, batching=True, batch_sizes=[4], max_batch_size=4) as engine:
        with pytest.raises(InferenceError, match="cannot be told apart") as caught:
            await engine.infer(floats(3, 6))
        assert type(caught.value) is InferenceError
        with pytest.raises(InferenceError, match="cannot be told apart"):
            await engine.infer(floats(6, 6))  # split over two batches
        assert engine.statistics().failed == 2


async def test_one_row_at_a_time_may_give_any_number(make: Make) -> None:
    """A fixed batch of 1, and a declaration that is not true."""
    path = make(
        [
            constant("zero", np.float32(0)),
            constant("shape", np.array([-1])),
            node("Greater", ["x", "zero"], ["kept"]),
            node("Reshape", ["kept", "shape"], ["flat"]),
            node("Compress", ["x", "flat"], ["some"]),
            constant("column", np.array([-1, 1])),
            node("Reshape", ["some", "column"], ["y"]),
        ],
        {"x": [1, 8]},
        {"y": [1, 1]},
    )
    requests = [floats(1, 8, seed=seed) for seed in range(4)]
    async with open_engine(path) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(path, x)[0])
        with pytest.raises(InferenceError, match="told apart"):
            await engine.infer(np.ones(8, np.float32))  # one row, and eight that could answer it


@pytest.fixture
def some_columns(make: Make) -> Path:
    """The columns that are positive in the one row: their number depends on the values."""
    return make(
        [
            constant("zero", np.float32(0)),
            constant("first", np.array([0])),
            node("Greater", ["x", "zero"], ["positive"]),
            node("Squeeze", ["positive", "first"], ["flat"]),
            node("Compress", ["x", "flat"], ["y"], axis=1),
        ],
        {"x": [1, 6]},
        {"y": [1, "n"]},
    )


async def test_parts_of_a_request_that_do_not_fit_together_fail_it_alone(
    some_columns: Path,
) -> None:
    x = np.stack([np.ones(6, np.float32), -np.ones(6, np.float32)])
    async with open_engine(some_columns) as engine:
        with pytest.raises(InferenceError, match="max_batch_size rows at a time"):
            await engine.infer(x)
        assert same(await engine.infer(x[:1]), x[:1])
        assert same(await engine.infer(x[0]), x[0])


async def test_a_row_without_its_axis_has_one_form_whatever_is_known(detector: Path) -> None:
    model = onnx.load(detector)
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, detector)
    hit, miss = np.ones(6, np.float32), -np.ones(6, np.float32)
    for options in ({}, {"check_seconds": 0}, {"batching": False}, {"batching": True}):
        async with open_engine(detector, **options) as engine:
            assert same(await engine.infer(hit), hit)
            with pytest.raises(InferenceError, match=r"batch axis|told apart"):
                await engine.infer(miss)
            assert same(await engine.infer(miss[np.newaxis]), np.empty((0, 6), np.float32))
