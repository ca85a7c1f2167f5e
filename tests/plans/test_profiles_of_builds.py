"""Profiles on their way into a plan: what is wrong is told before the build starts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from support.doubles import Installed
from support.helpers import MODELS, same
from tests.genuine.machines import Machine
from tests.plans.support import GATHER, answer_of, identity, mark, save, words
from trtasync import BuildError, InvalidInput, Profile, Shapes, build_plan, open_engine
from trtasync.inspection import inspect_plan

pytestmark = pytest.mark.anyio

LINE = MODELS / "digits_line.onnx"

REFUSED: dict[str, tuple[Any, list[str]]] = {
    "min above opt": ("image:2x1x8x9/1x1x8x9/4x1x8x9", ["input 'image'", "axis 0", "min 2"]),
    "opt above max": ("image:1x1x8x9/2x1x8x99/4x1x8x9", ["input 'image'", "axis 3", "max 9"]),
    "unknown name": ("picture:1x1x8x9", ["input 'picture'", "inputs are image"]),
    "wrong rank": ("image:1x8x9", ["'image' has 4 axes [N, 1, 8, W]", "gives 3"]),
    "fixed axis": ("image:1x1x9x9", ["'image'", "axis 2 is fixed at 8", "9 to 9"]),
    "negative": ("image:1x1x8x-9/1x1x8x9/1x1x8x9", ["'image'", 'axis 3 ("W")', "-9"]),
    "too many axes": ("image:1x1x1x1x1x1x1x1x1", ["'image'", "9 axes", "8 at most"]),
    "nothing": (None, ["'image'", 'axis 3 ("W") is dynamic', "--profile image:"]),
    "the second": (["image:1x1x8x9", "image:1x1x8"], ["'image' has 4 axes", "gives 3"]),
}


@pytest.mark.parametrize(("profiles", "wanted"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_wrong_profile_is_told_before_the_build_starts(
    machine: Machine, profiles: Any, wanted: list[str]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await build_plan(LINE, profiles=profiles)
    words(str(caught.value), *wanted)
    with pytest.raises(InvalidInput) as opened:
        async with open_engine(LINE, profiles=profiles):
            pass
    words(str(opened.value), *wanted)
    assert machine.builds.started == 0


def ranges_of(plan: Any, name: str) -> list[str]:
    """Of an input, per profile of a plan."""
    return [profile[name] for profile in inspect_plan(plan.path).profiles]


@pytest.mark.parametrize(("largest", "wanted"), [(None, "1/32/32"), (8, "1/8/8"), (1, "1")])
async def test_defaults_are_derived_from_the_model_and_the_batch_size(
    gpu: Installed, largest: int | None, wanted: str
) -> None:
    plan = await build_plan(GATHER, max_batch_size=largest)
    assert ranges_of(plan, "index") == [wanted]


async def test_inputs_left_out_follow_the_one_that_was_given(gpu: Installed) -> None:
    plan = await build_plan(
        MODELS / "digits_linew.onnx", profiles="image:2x1x8x8/4x1x8x16/6x1x8x64"
    )
    assert ranges_of(plan, "width") == ["2/4/6"]


async def test_several_profiles_keep_their_order(gpu: Installed) -> None:
    given: list[Profile | str] = [Profile({"index": Shapes((1,), (2,), (3,))}), "index:4/5/6"]
    plan = await build_plan(GATHER, profiles=given)
    assert ranges_of(plan, "index") == ["1/2/3", "4/5/6"]


async def test_fixed_shapes_need_no_profile(gpu: Installed, tmp_path: Path) -> None:
    plan = await build_plan(identity(gpu.trt, (2, 4)), output=tmp_path / "m.plan")
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    async with open_engine(plan) as engine:
        assert same(await engine.infer(x), x)


async def test_a_profile_that_tensorrt_refuses_is_told_in_its_words(gpu: Installed) -> None:
    gpu.builds.refuse_profiles = True
    with pytest.raises(BuildError) as caught:
        await build_plan(GATHER, profiles="index:1/2/4")
    words(str(caught.value), "the profile index:1/2/4 was refused", "profile->isValid()")
    assert gpu.builds.started == 0


# -- shape tensors --------------------------------------------------------------------------------


def expand_model(path: Path) -> Path:
    """y = x repeated to the size that `shape` says."""
    value = helper.make_tensor_value_info
    inputs = [
        value("x", TensorProto.FLOAT, ["N", 1]),
        value("shape", TensorProto.INT64, [2]),
    ]
    node = helper.make_node("Expand", ["x", "shape"], ["y"])
    output = value("y", TensorProto.FLOAT, ["A", "B"])
    return save(path, helper.make_graph([node], "expand", inputs, [output]))


async def test_the_values_of_a_shape_tensor_have_to_be_given(
    machine: Machine, tmp_path: Path
) -> None:
    model = expand_model(tmp_path / "m.onnx")
    with pytest.raises(InvalidInput) as caught:
        await build_plan(model)
    words(str(caught.value), "input 'shape' is a shape tensor of 2 value(s)", "Shapes(min, opt")
    with pytest.raises(InvalidInput, match=r"'shape' has 2 values .* gives 3"):
        await build_plan(model, profiles="x:1x1,shape:1x2x3")
    assert machine.builds.started == 0


async def test_the_values_of_a_shape_tensor_are_in_the_plan(gpu: Installed, tmp_path: Path) -> None:
    model = expand_model(tmp_path / "m.onnx")
    plan = await build_plan(model, profiles="x:1x1,shape:1x2/2x4/4x8")
    assert ranges_of(plan, "shape") == ["1x2/2x4/4x8"]
    assert ranges_of(plan, "x") == ["1x1"]


async def test_a_shape_tensor_of_a_network_function(gpu: Installed, tmp_path: Path) -> None:
    def define(network: Any) -> None:
        x = network.add_input("x", gpu.trt.DataType.FLOAT, (4, 2))
        shape = network.add_input("shape", gpu.trt.DataType.INT64, (2,))
        layer = network.add_shuffle(x)
        layer.set_input(1, shape)
        mark(network, layer)

    with pytest.raises(InvalidInput, match="'shape' is a shape tensor"):
        await build_plan(define, output=tmp_path / "m.plan")
    plan = await build_plan(define, output=tmp_path / "m.plan", profiles="shape:2x4")
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    answer = await answer_of(plan, {"x": x, "shape": np.array([2, 4])}, max_batch_size=None)
    assert same(answer, x.reshape(2, 4))
