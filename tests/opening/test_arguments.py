"""Arguments of `open_engine` that make no sense: one clear error each, and nothing was opened."""

import math
from typing import Any

import numpy as np
import pytest

from support.helpers import MODELS, row, same
from trtasync import BackendUnavailable, Engine, InvalidInput, Pad, PlanError, open_engine
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio

BAD: list[tuple[dict[str, Any], str]] = [
    ({"backend": "cuda"}, "'tensorrt-rtx', 'onnxruntime'; got 'cuda'"),
    ({"streams": 0}, "streams must be a whole number of at least 1, not 0"),
    ({"threads": 1.5}, "threads must be a whole number"),
    ({"max_batch_size": True}, "max_batch_size must be a whole number"),
    ({"max_queue_size": -1}, "max_queue_size must be"),
    ({"max_queue_time": 0}, "max_queue_time must be seconds, more than 0, or None, not 0"),
    ({"max_queue_time": math.inf}, "max_queue_time must be seconds"),
    ({"max_queue_time": "1s"}, "max_queue_time must be seconds"),
    ({"max_queue_time": True}, "max_queue_time must be seconds"),
    ({"batch_sizes": 8}, "batch_sizes must be a list of numbers, not 8"),
    ({"batch_sizes": [0, 8]}, "every number in batch_sizes"),
    ({"batch_sizes": [4, 8], "max_batch_size": 16}, "the largest of batch_sizes"),
    ({"max_queue_delay": -1}, "max_queue_delay must be seconds"),
    ({"max_queue_delay": math.inf}, "max_queue_delay must be seconds"),
    ({"loop_budget": True}, "loop_budget must be seconds"),
    ({"loop_budget": math.nan}, "loop_budget must be seconds"),
    ({"linger": 1.0}, "linger requires shared=True"),
    ({"reconnect": 1.0}, "reconnect requires shared=True"),
    ({"traces": "otlp"}, "traces requires shared=True"),
    ({"traces": True}, "traces must be an exporter's name, not True"),
    ({"preferred_batch_size": [4]}, "requires max_queue_delay"),
    ({"preferred_batch_size": [99], "max_queue_delay": 0.1}, "beyond max_batch_size=8"),
    ({"padding": ["x"]}, "padding must map input names"),
    ({"padding": {"x": 3}}, "must be a trtasync.Pad"),
    ({"padding": {"z": Pad(axis=1, multiple_of=2)}}, "which are not row inputs"),
    ({"padding": {"x": Pad(axis=1, multiple_of=2)}}, "not a dynamic axis"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD)
async def test_a_bad_argument_says_what_it_should_be(arguments: dict[str, Any], says: str) -> None:
    backend = ScriptedBackend()
    with pytest.raises(InvalidInput, match=says):
        async with open_engine(backend, **arguments):
            pytest.fail("it was opened")
    assert all(lane.closed == 1 for lane in backend.lanes)


@pytest.mark.parametrize("model", [None, 3, ["model.onnx"], object()])
async def test_a_model_that_is_none(model: Any) -> None:
    with pytest.raises(InvalidInput, match="path of an"):
        async with open_engine(model):
            pytest.fail("it was opened")


async def test_devices_belong_to_gpus() -> None:
    with pytest.raises(InvalidInput, match="no devices"):
        async with open_engine(MODELS / "gather.onnx", devices=[0]):
            pytest.fail("it was opened")


@pytest.mark.parametrize(
    ("name", "backend"), [("m.plan", "auto"), ("m.engine", "auto"), ("m.onnx", "tensorrt")]
)
async def test_without_a_gpu_tensorrt_says_what_it_needs(name: str, backend: Any) -> None:
    with pytest.raises(BackendUnavailable, match="TensorRT backend needs"):
        async with open_engine(name, backend=backend):
            pytest.fail("it was opened")


async def test_a_plan_is_no_onnx_model() -> None:
    with pytest.raises(PlanError, match="backend='onnxruntime' needs"):
        async with open_engine("m.plan", backend="onnxruntime"):
            pytest.fail("it was opened")


async def test_a_priority_that_cannot_be_compared_loses_nothing() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        with pytest.raises(ValueError, match="ambiguous"):
            await engine.infer(row(1), priority=np.zeros(2))  # type: ignore[call-overload]  # the point
        assert same(await engine.infer(row(2)), row(2))
        assert engine.statistics().requests == 1


@pytest.mark.parametrize("priority", [-1, 10, 1.5, "1", True, None])
async def test_priorities_are_0_to_9(priority: Any) -> None:
    async with open_engine(ScriptedBackend()) as engine:
        with pytest.raises(InvalidInput, match="priority must be 0"):
            await engine.infer(row(1), priority=priority)
        assert same(await _at(engine, np.int64(3)), row(1))


async def _at(engine: Engine, priority: Any) -> Any:
    return await engine.infer(row(1), priority=priority)
