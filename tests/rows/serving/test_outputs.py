"""What runs alone gives the runtime's own outputs, whatever the model declares."""

from typing import Any

import numpy as np
import onnx
import pytest

from support.helpers import at_once, same
from support.onnx_models import Make, constant, node
from tests.rows.serving.runtime import alone, floats
from trtasync import InvalidInput, open_engine

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("batching", ["auto", False])
async def test_a_scalar_stays_a_scalar(make: Make, batching: Any) -> None:
    path = make(
        [node("ReduceSum", ["x"], ["total"], keepdims=0), node("Neg", ["x"], ["y"])],
        {"x": ["N", 4]},
        {"total": [], "y": ["N", 4]},
    )
    requests = [{"x": floats(5, 4, seed=seed)} for seed in range(3)]
    async with open_engine(path, batching=batching) as engine:
        for answer, request in zip(await at_once(engine, requests), requests, strict=True):
            total, y = alone(path, request["x"])
            assert answer["total"].shape == ()
            assert same(answer["total"], total)
            assert same(answer["y"], y)


async def test_a_squeezed_output_is_the_same_alone_and_in_company(make: Make) -> None:
    """Squeezed of every axis of length 1, the batch axis of a lone row among them."""
    path = make([node("Squeeze", ["x"], ["y"])], {"x": ["N", 4]}, {"y": ["N", 4]})
    async with open_engine(path) as engine:
        for rows in (1, 2, 5):
            answers = await at_once(engine, [floats(rows, 4, seed=seed) for seed in range(3)])
            for seed, answer in enumerate(answers):
                assert same(answer, alone(path, floats(rows, 4, seed=seed))[0])


@pytest.mark.parametrize("batching", ["auto", True, False])
async def test_a_wrong_declaration_is_no_error(make: Make, batching: Any) -> None:
    path = make(
        [constant("reps", np.array([1, 4])), node("Tile", ["x", "reps"], ["y"])],
        {"x": ["N", 25]},
        {"y": ["N", 100]},
    )
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    onnx.save(model, path)
    async with open_engine(path, batching=batching) as engine:
        requests = [floats(rows, 25, seed=rows) for rows in (1, 2, 3)] * 2
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, np.tile(x, (1, 4)))


async def test_a_fixed_batch_that_is_coupled_takes_whole_batches_only(make: Make) -> None:
    path = make([node("Softmax", ["x"], ["y"], axis=0)], {"x": [8, 4]}, {"y": [8, 4]})
    async with open_engine(path) as engine:
        requests = [floats(8, 4, seed=seed) for seed in range(3)]
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(path, x)[0])
        for wrong in (floats(3, 4), floats(4)):
            with pytest.raises(InvalidInput, match="must be 8"):
                await engine.infer(wrong)


async def test_one_batch_fits_the_queue_in_any_case(make: Make) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": [10000]}, {"y": [10000]})
    async with open_engine(path) as engine:
        assert same(await engine.infer(floats(10000)), np.maximum(floats(10000), 0))


@pytest.mark.parametrize("batching", ["auto", True, False])
async def test_an_input_that_is_an_output_comes_back_as_it_was(make: Make, batching: Any) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, {"y": ["N", 3], "x": ["N", 3]})
    requests = [floats(2, 3, seed=seed) for seed in range(4)]
    async with open_engine(path, batching=batching) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer["x"], x)
            assert same(answer["y"], np.maximum(x, 0))
