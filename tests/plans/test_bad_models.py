"""What is no model, or none that TensorRT can build: one clear error, nothing left behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, helper

from support.doubles import Installed
from support.helpers import MODELS
from tests.genuine.machines import Machine
from tests.plans.support import (
    GATHER,
    PROFILES,
    contents,
    mark,
    matrix,
    save,
    words,
    write_branches,
    write_matmul,
)
from trtasync import BuilderConfig, BuildError, InvalidInput, build_plan, open_engine
from trtasync.plans.onnx_files import read_onnx
from trtasync.plans.parser_errors import UNSUPPORTED

pytestmark = pytest.mark.anyio


async def refused(gpu: Machine, source: object, cache: Path, **options: object) -> str:
    """The words with which a build is refused. Nothing was built, nothing is kept."""
    with pytest.raises(BuildError) as caught:
        await build_plan(source, cache=cache / "cache", **options)  # type: ignore[arg-type]
    assert gpu.builds.finished == 0
    assert contents(cache / "cache") == {}
    return str(caught.value)


# -- no ONNX file ---------------------------------------------------------------------------------

CONTENTS: dict[str, bytes] = {
    "text": b"This is a letter, and no model.\n" * 9,
    "a picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde",
    "nothing": b"",
    "zeros": bytes(100),
    "one byte": b"\x08",
    "a page": b"<!DOCTYPE html><html><body>404</body></html>",
    "an archive": b"PK\x03\x04\x14\0\0\0\x08\0",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
async def test_what_is_no_onnx_file_is_refused(
    machine: Machine, tmp_path: Path, content: bytes
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(content)
    words(await refused(machine, model, tmp_path), str(model), "is not an ONNX model")
    with pytest.raises(BuildError, match="not an ONNX model"):
        async with open_engine(model):
            pass
    assert machine.builds.started == 0


async def test_a_file_that_is_missing_is_named(machine: Machine, tmp_path: Path) -> None:
    words(await refused(machine, tmp_path / "m.onnx", tmp_path), "m.onnx", "No such file")


async def test_a_folder_is_no_model(machine: Machine, tmp_path: Path) -> None:
    words(await refused(machine, tmp_path, tmp_path), str(tmp_path), "Is a directory")


@pytest.mark.parametrize("source", [None, 5, b"m.onnx", ["m.onnx"]])
async def test_what_is_neither_file_nor_function_is_refused(
    machine: Machine, source: object
) -> None:
    with pytest.raises(InvalidInput, match=r"from the path of an \.onnx file or from a function"):
        await build_plan(source)  # type: ignore[arg-type]


PARTS = 20


@pytest.mark.parametrize("name", PROFILES)
async def test_a_truncated_model_is_refused_wherever_it_ends(
    machine: Machine, tmp_path: Path, name: str
) -> None:
    whole = (MODELS / f"{name}.onnx").read_bytes()
    ends = [len(whole) * part // PARTS for part in range(1, PARTS)] + [len(whole) - 1]
    model = tmp_path / "m.onnx"
    for end in ends:
        model.write_bytes(whole[:end])
        words(await refused(machine, model, tmp_path), "not an ONNX model", "truncated")
    assert machine.builds.started == 0


def test_no_end_of_a_file_makes_a_smaller_model_of_it(tmp_path: Path) -> None:
    whole, model = GATHER.read_bytes(), tmp_path / "m.onnx"
    for end in range(len(whole)):
        model.write_bytes(whole[:end])
        with pytest.raises(BuildError, match=r"truncated|but empty"):
            read_onnx(model)


def _ends_that_can_be_read(data: bytes) -> list[int]:
    """Where a file could end without breaking protobuf's encoding."""
    ends = []
    for end in range(1, len(data)):
        try:
            ModelProto.FromString(data[:end])
        except DecodeError:
            continue
        ends.append(end)
    return ends


async def test_a_model_that_is_cut_before_its_functions_is_refused(
    machine: Machine, tmp_path: Path
) -> None:
    opsets = [helper.make_opsetid("own", 1), helper.make_opsetid("", 17)]
    node = helper.make_node("Add", ["a", "a"], ["b"])
    function = helper.make_function("own", "Twice", ["a"], ["b"], [node], opsets[1:])
    model = write_own(tmp_path / "m.onnx", "Twice", opsets, functions=[function])
    whole = model.read_bytes()
    for end in _ends_that_can_be_read(whole):
        model.write_bytes(whole[:end])
        words(await refused(machine, model, tmp_path), "m.onnx")


def test_a_model_that_is_cut_before_onnxs_own_operator_set_is_refused(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("own", 1), helper.make_opsetid("", 17)]
    model = write_own(tmp_path / "m.onnx", "Relu", opsets)
    whole = model.read_bytes()
    assert read_onnx(model).opsets() == {"own": 1, "ai.onnx": 17}
    for end in _ends_that_can_be_read(whole):
        model.write_bytes(whole[:end])
        with pytest.raises(BuildError, match="truncated"):
            read_onnx(model)


def write_own(path: Path, operator: str, opsets: list[Any], **more: Any) -> Path:
    """A chain of one node, which is of the domain "own" unless it is Relu."""
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 4]) for n in ("x", "y")]
    node = helper.make_node(operator, ["x"], ["y"], domain="" if operator == "Relu" else "own")
    graph = helper.make_graph([node], "own", values[:1], values[1:])
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=9, **more)
    path.write_bytes(proto.SerializeToString())
    return path


# -- operators ------------------------------------------------------------------------------------


def write_chain(path: Path, *operators: str) -> Path:
    """x -> operator -> ... -> y."""
    names = ["x", *(f"t{i}" for i in range(1, len(operators))), "y"]
    nodes = [
        helper.make_node(operator, [names[i]], [names[i + 1]], name=f"step_{i}")
        for i, operator in enumerate(operators)
    ]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 4]) for n in ("x", "y")]
    return save(path, helper.make_graph(nodes, "chain", values[:1], values[1:]))


async def test_an_unsupported_operator_is_named_with_its_node_and_the_reason(
    gpu: Installed, tmp_path: Path
) -> None:
    gpu.builds.unsupported = {"Erf"}
    text = await refused(gpu, write_chain(tmp_path / "m.onnx", "Relu", "Erf"), tmp_path)
    words(text, gpu.trt.__version__, "m.onnx", f"{UNSUPPORTED}: Erf (node 1 'step_1').")
    assert gpu.builds.started == 0


async def test_all_unsupported_operators_are_listed(gpu: Installed, tmp_path: Path) -> None:
    gpu.builds.unsupported = {"Erf", "Sinh"}
    model = write_chain(tmp_path / "m.onnx", "Erf", "Relu", "Sinh", "Erf")
    text = await refused(gpu, model, tmp_path)
    words(text, f"{UNSUPPORTED}: Erf (node 0 'step_0', 3 'step_3'), Sinh (node 2 'step_2').")
    assert "Relu" not in text


async def test_an_operator_that_onnx_has_not_is_named(machine: Machine, tmp_path: Path) -> None:
    model = write_chain(tmp_path / "m.onnx", "Frobnicate")
    words(await refused(machine, model, tmp_path), f"{UNSUPPORTED}: Frobnicate (node 0 'step_0').")


async def test_a_type_that_tensorrt_has_not_is_named(machine: Machine, tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(n, TensorProto.INT16, ["N"]) for n in ("x", "y")]
    node = helper.make_node("Identity", ["x"], ["y"])
    model = save(tmp_path / "m.onnx", helper.make_graph([node], "g", values[:1], values[1:]))
    words(
        await refused(machine, model, tmp_path), "m.onnx", "a data type that this TensorRT has not"
    )


# -- weights outside of the file ------------------------------------------------------------------

Writer = Callable[[Path], Path]
WRITERS: dict[str, Writer] = {
    "a model": lambda path: write_matmul(path, matrix(), external="m.weights"),
    "a nested graph": lambda path: write_branches(path, matrix(), external="m.weights"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
async def test_missing_weights_are_named(machine: Machine, tmp_path: Path, write: Writer) -> None:
    model = write(tmp_path / "m.onnx")
    (tmp_path / "m.weights").unlink()
    words(
        await refused(machine, model, tmp_path), "m.weights, which is missing from", str(tmp_path)
    )


async def test_truncated_weights_are_refused(machine: Machine, tmp_path: Path) -> None:
    model = WRITERS["a model"](tmp_path / "m.onnx")
    (tmp_path / "m.weights").write_bytes(b"\0" * 7)
    words(await refused(machine, model, tmp_path), "m.onnx", "weights")


def _point_to(model: Path, location: str) -> None:
    """Let a model's weights be said to lie elsewhere."""
    proto = ModelProto.FromString(model.read_bytes())
    (tensor,) = proto.graph.initializer
    for entry in tensor.external_data:
        if entry.key == "location":
            entry.value = location
    model.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize(
    "location", ["../secret", "sub/../../secret", "/etc/hostname", "{folder}/m.weights"]
)
async def test_weights_elsewhere_are_not_read(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(99))
    model = WRITERS["a model"](folder / "m.onnx")
    _point_to(model, location.format(folder=folder))
    monkeypatch.chdir(folder)
    for path in (model, Path("m.onnx")):
        words(await refused(machine, path, tmp_path), "not beside it", "model's own folder")


def test_weights_beside_the_model_may_be_links(tmp_path: Path) -> None:
    """Download caches keep the files elsewhere; whether it reads links is TensorRT's to say."""
    model = WRITERS["a model"](tmp_path / "m.onnx")
    digest = read_onnx(model, hashing=True).digest()
    (tmp_path / "blobs").mkdir()
    (tmp_path / "m.weights").rename(tmp_path / "blobs" / "1")
    (tmp_path / "m.weights").symlink_to(tmp_path / "blobs" / "1")
    assert read_onnx(model, hashing=True).digest() == digest


# -- functions ------------------------------------------------------------------------------------


async def test_what_a_network_function_raises_is_told(machine: Machine, tmp_path: Path) -> None:
    def resnet(network: object) -> None:
        raise KeyError("conv1")

    text = await refused(machine, resnet, tmp_path, output=tmp_path / "cache" / "m.plan")
    words(text, "network function resnet failed", "KeyError", "conv1")


async def test_a_network_without_outputs_is_refused(machine: Machine, tmp_path: Path) -> None:
    def headless(network: object) -> None:
        network.add_input("x", machine.trt.DataType.FLOAT, (-1, 4))  # type: ignore[attr-defined]

    text = await refused(machine, headless, tmp_path, output=tmp_path / "cache" / "m.plan")
    words(text, "headless marks no output", "network.mark_output")


async def test_a_refused_call_that_gave_none_is_told_in_tensorrts_words(
    machine: Machine, tmp_path: Path
) -> None:
    def careless(network: object) -> None:
        weights = np.ones(0, np.float32)
        mark(network, network.add_constant((0,), weights))  # type: ignore[attr-defined]

    text = await refused(machine, careless, tmp_path, output=tmp_path / "cache" / "m.plan")
    words(text, "careless failed", "NoneType", "TensorRT said", "weights).count > 0")


async def test_layers_that_do_not_fit_are_told_in_tensorrts_words(
    machine: Machine, tmp_path: Path
) -> None:
    def crooked(network: object) -> object:
        weights = np.ones(3, np.float32)
        mark(network, network.add_constant((1, 4), weights))  # type: ignore[attr-defined]
        return weights

    text = await refused(machine, crooked, tmp_path, output=tmp_path / "cache" / "m.plan")
    words(text, "crooked: 'y' has no shape", "Error Code 4")


async def test_a_build_that_fails_says_why_in_tensorrts_words(
    gpu: Installed, tmp_path: Path
) -> None:
    gpu.builds.workspace_needed = 1 << 30
    config = BuilderConfig(workspace=1 << 20)
    text = await refused(gpu, GATHER, tmp_path, builder_config=config)
    words(text, gpu.trt.__version__, "created no plan on Double GPU", "Could not find any")
    assert gpu.builds.failed == 1
