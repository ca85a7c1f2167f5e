"""What an ONNX file calls its axes goes with the plan that is built of it: the same file gives the
same answers on a GPU as on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from support.doubles import Installed
from support.helpers import Array, same
from tests.genuine.machines import Machine
from tests.plans.support import save, words
from trtasync import Cut, InferenceError, InvalidInput, Pad, build_plan, open_engine
from trtasync.plans import Phases
from trtasync.plans.axis_names import axis_names
from trtasync.plans.onnx_files import read_onnx

pytestmark = pytest.mark.anyio

Dims = list[Any] | None


def _value(name: str, dims: Dims, dtype: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, dims)


def relu(folder: Path, output: Dims) -> Path:
    """x["n", "len", 4] -> y, the same shape whatever is declared of it."""
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    x, y = _value("x", ["n", "len", 4]), _value("y", output)
    return save(folder / "relu.onnx", helper.make_graph(nodes, "relu", [x], [y]))


def recurrent(folder: Path) -> Path:
    """A voice detector in small: its state has rows along axis 1, its sampling rate none."""
    nodes = [
        helper.make_node("Cast", ["sr"], ["rate"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["input", "rate"], ["output"]),
        helper.make_node("Neg", ["state"], ["stateN"]),
    ]
    inputs = [
        _value("input", ["batch", 3]),
        _value("state", [2, "batch", 5]),
        _value("sr", [], TensorProto.INT64),
    ]
    outputs = [_value("output", ["batch", 3]), _value("stateN", [2, "batch", 5])]
    return save(folder / "recurrent.onnx", helper.make_graph(nodes, "rnn", inputs, outputs))


PROFILE = "x:1x1x4/4x16x4/4x64x4"
PADDING = {"x": Pad(axis=1, multiple_of=16)}
DECLARED = pytest.mark.parametrize(
    "output", [["n", "len", 4], [None, None, 4], None], ids=["named", "unnamed", "undeclared"]
)


def _batch(length: int) -> Array:
    return np.random.default_rng(length).standard_normal((3, length, 4), np.float32)


@DECLARED
@pytest.mark.parametrize("length", [13, 16])
async def test_padding_is_cut_off_alike_on_cpu_and_gpu(
    gpu: Installed, tmp_path: Path, output: Dims, length: int
) -> None:
    path, x = relu(tmp_path, output), _batch(length)
    opened: list[dict[str, Any]] = [{"backend": "onnxruntime"}, *[{"profiles": PROFILE}] * 2]
    for options in opened:
        async with open_engine(path, max_batch_size=4, padding=PADDING, **options) as engine:
            assert same(await engine.infer(x), np.maximum(x, 0))
    assert gpu.builds.started == 1  # the second opening took the plan from the cache


async def test_a_plan_object_knows_the_names_of_its_axes(gpu: Installed, tmp_path: Path) -> None:
    path, x = relu(tmp_path, ["n", "len", 4]), _batch(13)
    plan = await build_plan(path, output=tmp_path / "relu.plan", profiles=PROFILE, cache=False)
    async with open_engine(plan, padding=PADDING) as engine:
        assert engine.inputs[0].shape == ("n", "len", 4)
        assert same(await engine.infer(x), np.maximum(x, 0))
    async with open_engine(plan.path, padding=PADDING) as engine:
        assert engine.inputs[0].shape == (None, None, 4)
        with pytest.raises(InferenceError, match=r"padded to 16.*outputs=\{'y': Cut"):
            await engine.infer(x)
        assert same(await engine.infer(_batch(16)), np.maximum(_batch(16), 0))
    cut = Pad(axis=1, multiple_of=16, outputs={"y": Cut(axis=1, length=lambda length: length)})
    async with open_engine(plan.path, padding={"x": cut}) as engine:
        assert same(await engine.infer(x), np.maximum(x, 0))


async def test_names_that_do_not_suit_the_plan_are_left_aside(
    gpu: Installed, tmp_path: Path
) -> None:
    plan = await build_plan(relu(tmp_path, None), output=tmp_path / "it.plan", profiles=PROFILE)
    other = await build_plan(recurrent(tmp_path), output=tmp_path / "it.plan")
    assert plan.path == other.path
    async with open_engine(plan) as engine:  # what its path holds now is another model
        assert {spec.name for spec in engine.inputs} == {"input", "state", "sr"}


def test_names_are_inferred_where_the_file_leaves_them_out(tmp_path: Path) -> None:
    for output in ([None, "len", 4], None):
        assert axis_names(read_onnx(relu(tmp_path, output)).model)["y"] == ("n", "len", 4)
    own = axis_names(read_onnx(relu(tmp_path, ["rows", None, 4])).model)
    assert own["y"] == ("rows", "len", 4)


# -- where rows lie -------------------------------------------------------------------------------


async def test_profiles_have_their_range_on_the_batch_axis_of_each_input(
    machine: Machine, tmp_path: Path
) -> None:
    phases = Phases()
    builder = phases.builder()
    network = phases.parse(builder, recurrent(tmp_path))
    config = phases.config(builder)
    (profile,) = phases.add_profiles(builder, network, config, max_batch_size=8)
    found = {name: str(shapes) for name, shapes in profile.shapes.items()}
    assert found == {"input": "1x3/8x3/8x3", "state": "2x1x5/2x8x5/2x8x5"}


async def test_a_recurrent_model_is_batched_with_the_state_on_axis_1(
    gpu: Installed, tmp_path: Path
) -> None:
    path = recurrent(tmp_path)
    rng = np.random.default_rng(1)
    backends: list[Any] = ["onnxruntime", "tensorrt"]
    for backend in backends:
        async with open_engine(path, max_batch_size=8, backend=backend) as engine:
            for rate, count in ((8000, 1), (16000, 3), (8000, 11)):
                x = rng.standard_normal((count, 3), np.float32)
                state = rng.standard_normal((2, count, 5), np.float32)
                answer = await engine.infer({"input": x, "state": state, "sr": np.array(rate)})
                assert same(answer["output"], x * np.float32(rate))
                assert same(answer["stateN"], -state)


async def test_the_user_says_where_rows_lie(machine: Machine, tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    x, y = _value("x", [2, None]), _value("y", [2, None])
    path = save(tmp_path / "columns.onnx", helper.make_graph(nodes, "columns", [x], [y]))
    with pytest.raises(InvalidInput, match="axis 1 is dynamic and its range is not known"):
        await build_plan(path)
    plan = await build_plan(path, batch_axes={"x": 1}, max_batch_size=4)
    again = await build_plan(path, batch_axes={"x": -1}, max_batch_size=4)
    assert plan.key != again.key  # it is what was asked that counts
    with pytest.raises(InvalidInput) as caught:
        await build_plan(path, batch_axes={"z": 1})
    words(str(caught.value), "batch_axes", "'z'")
