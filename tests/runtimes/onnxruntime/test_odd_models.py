"""Fixed batches, scalars, unknown ranks, every type: models made for one purpose."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from support.helpers import MODELS, Array, at_once, check_at_rest, same
from support.onnx_models import FLOAT, INT64, STRING, Make, node, value
from trtasync import InferenceError, InvalidInput, PlanError, TrtasyncError, open_engine

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("fixed", [1, 4])
async def test_a_fixed_batch_axis(make: Make, fixed: int) -> None:
    path = make(
        [node("Neg", ["x"], ["y"])],
        [value("x", FLOAT, [fixed, 2])],
        [value("y", FLOAT, [fixed, 2])],
    )
    async with open_engine(path) as engine:
        sample = np.array([1, 2], np.float32)
        assert same(await engine.infer(sample), -sample)
        many = np.arange(14, dtype=np.float32).reshape(7, 2)
        assert same(await engine.infer(many), -many)
        answers = await at_once(engine, list(many))
        assert same(np.stack(answers), -many)
        statistics = check_at_rest(engine)
        assert max(statistics.batch_sizes) <= fixed
        assert statistics.rows == 15
        assert (statistics.rows + statistics.padded_rows) == statistics.batches * fixed
    with pytest.raises(InvalidInput, match=f"fixed at {fixed}"):
        async with open_engine(path, max_batch_size=fixed + 1):
            pass


async def test_numbers_that_numpy_has_not_are_refused_by_what_is_missing(make: Make) -> None:
    path = make(
        [node("Cast", ["x"], ["y"], to=FLOAT)],
        [value("x", onnx.TensorProto.BFLOAT16, ["N", 2])],
        [value("y", FLOAT, ["N", 2])],
    )
    with pytest.raises(PlanError, match=r"'x' is a tensor.bfloat16.*Cast it") as caught:
        async with open_engine(path):
            pass
    assert "numeric" not in str(caught.value)


async def test_without_batch_axis_every_request_runs_alone(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(
        [node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
        [value("x", FLOAT, ["N", 2])],
        [value("y", FLOAT, [2])],
        axes=np.array([0], np.int64),
    )
    async with open_engine(path, max_batch_size=8) as engine:
        assert "every request runs alone" in caplog.text
        requests = [np.full((count, 2), count, np.float32) for count in (1, 2, 3, 2)]
        answers = await at_once(engine, requests)
        assert [answer.tolist() for answer in answers] == [[1, 1], [4, 4], [9, 9], [4, 4]]
        assert dict(check_at_rest(engine).batch_sizes) == {1: 4}


async def test_requests_with_different_scalars_do_not_share_a_batch(make: Make) -> None:
    path = make(
        [node("Mul", ["x", "factor"], ["y"])],
        [value("x", FLOAT, ["N", 2]), value("factor", FLOAT, [])],
        [value("y", FLOAT, ["N", 2])],
    )
    async with open_engine(path) as engine:
        x = np.ones((3, 2), np.float32)
        two, three = await at_once(engine, [(x, np.float32(2)), (x, np.float32(3))])
        assert same(two["y"], x * np.float32(2))
        assert same(three["y"], x * np.float32(3))
        with pytest.raises(InvalidInput, match="only a scalar"):
            await engine.infer((x, np.ones(2, np.float32)))


async def test_an_input_of_unknown_rank_takes_scalars_and_says_why(make: Make) -> None:
    path = make([node("Neg", ["x"], ["y"])], [value("x", FLOAT, None)], [value("y", FLOAT, None)])
    async with open_engine(path) as engine:
        assert same(await engine.infer(np.float32(2)), np.float32(-2))
        with pytest.raises(InvalidInput, match="declares no rank"):
            await engine.infer(np.ones(3, np.float32))


@pytest.mark.parametrize("declared", [["N", 2], None])
async def test_an_output_without_batch_axis_is_never_cut_up(
    make: Make, declared: list[int | str] | None
) -> None:
    """The shape is a secret until the run: the graph reads it from a second input."""
    path = make(
        [node("Slice", ["x", "first", "last"], ["y"])],
        [value("x", FLOAT, ["N", 2]), value("last", INT64, ["N"])],
        [value("y", FLOAT, declared)],
        first=np.array([0], np.int64),
    )
    x = np.ones((1, 2), np.float32)
    async with open_engine(path, max_batch_size=4) as engine:
        for rows in (1, 0, 1):
            answer = await engine.infer((x, np.array([rows])))
            assert same(answer["y"], x[:rows])


async def test_an_output_of_unknown_rank_is_checked_when_it_comes(make: Make) -> None:
    path = make(
        [node("Reshape", ["x", "shape"], ["y"])],
        [value("x", FLOAT, ["N", 2]), value("shape", INT64, ["N"])],
        [value("y", FLOAT, None)],
    )
    for batching in ("auto", True):
        async with open_engine(path, max_batch_size=1, batching=batching) as engine:
            answer = await engine.infer((np.ones((1, 2), np.float32), np.array([-1])))
            assert same(answer["y"], np.ones(2, np.float32))
            with pytest.raises(InferenceError, match=r"batch axis|told apart"):
                await engine.infer((np.ones(2, np.float32), np.array(-1)))


async def test_several_outputs_and_every_numeric_type(make: Make) -> None:
    kinds = {
        "f16": (TensorProto.FLOAT16, np.float16),
        "f64": (TensorProto.DOUBLE, np.float64),
        "i8": (TensorProto.INT8, np.int8),
        "u8": (TensorProto.UINT8, np.uint8),
        "i16": (TensorProto.INT16, np.int16),
        "u16": (TensorProto.UINT16, np.uint16),
        "i32": (TensorProto.INT32, np.int32),
        "u32": (TensorProto.UINT32, np.uint32),
        "i64": (TensorProto.INT64, np.int64),
        "u64": (TensorProto.UINT64, np.uint64),
        "bool": (TensorProto.BOOL, np.bool_),
    }
    path = make(
        [node("Identity", [name], [f"{name}_out"]) for name in kinds],
        [value(name, kind, ["N", 2]) for name, (kind, _) in kinds.items()],
        [value(f"{name}_out", kind, ["N", 2]) for name, (kind, _) in kinds.items()],
    )
    async with open_engine(path) as engine:
        inputs: dict[str, Array] = {
            name: np.array([[0, 1], [1, 0]]).astype(dtype) for name, (_, dtype) in kinds.items()
        }
        answer = await engine.infer(inputs)
        assert list(answer) == [f"{name}_out" for name in kinds]
        for name, array in inputs.items():
            assert same(answer[f"{name}_out"], array)


def sequence_output() -> Any:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    return helper.make_value_info("y", kind)


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([node("Cast", ["x"], ["y"], to=STRING)], [value("y", STRING, ["N", 2])]),
        ([node("SplitToSequence", ["x"], ["y"])], [sequence_output()]),
    ],
    ids=["string", "sequence"],
)
async def test_outputs_that_are_no_numbers_are_refused(
    make: Make, nodes: list[Any], outputs: list[Any]
) -> None:
    path = make(nodes, [value("x", FLOAT, ["N", 2])], outputs)
    with pytest.raises(PlanError, match="output 'y' is a"):
        async with open_engine(path):
            pass


async def test_string_inputs_are_refused(make: Make) -> None:
    path = make(
        [node("Cast", ["x"], ["y"], to=FLOAT)],
        [value("x", STRING, ["N"])],
        [value("y", FLOAT, ["N"])],
    )
    with pytest.raises(PlanError, match="input 'x' is a tensor"):
        async with open_engine(path):
            pass


async def test_a_failing_row_names_the_runtime_s_own_error() -> None:
    async with open_engine(MODELS / "gather.onnx") as engine:
        with pytest.raises(InferenceError, match="ONNX Runtime failed") as caught:
            await engine.infer(np.array(99))
        assert "out of data bounds" in str(caught.value.__cause__)
        assert not isinstance(caught.value.__cause__, TrtasyncError)
        assert (await engine.infer(np.array(0))).tolist() == [0, 1, 2, 3]
