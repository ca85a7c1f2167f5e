"""`trtasync inspect`."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from support import doubles
from support.doubles import Installed
from support.helpers import MODELS
from tests.cli.support import refused, run, told
from tests.plans.support import (
    GATHER,
    identity,
    matrix,
    words,
    write_branches,
    write_matmul,
)
from tests.rows.support import graph
from trtasync import BuilderConfig, Plan, build_plan, open_engine

AXES: dict[str, tuple[dict[str, list[Any]], dict[str, list[Any]]]] = {
    "digits_line": ({"image": ["N", 1, 8, "W"]}, {"probs": ["N", "T", 11]}),
    "digits_linew": (
        {"image": ["N", 1, 8, "W"], "width": ["N"]},
        {"probs": ["N", "T", 11]},
    ),
    "digits_page": (
        {"page": ["N", 1, 48, 64]},
        {"score": ["N", 16], "corner": ["N", 16, 2], "crops": ["N", 16, 1, 8, 12]},
    ),
    "digits_pair": ({"left": ["N", 64], "right": ["N", 64]}, {"same_probability": ["N"]}),
    "gather": ({"index": ["N"]}, {"row": ["N", 4]}),
    "texts": ({"trigrams": ["N", "T"]}, {"embedding": ["N", 64]}),
    "voice": (
        {"sound": ["N", 256], "floor": ["N"]},
        {"probability": ["N"], "next_floor": ["N"]},
    ),
}


def shapes(report: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """By name."""
    return {each["name"]: each["shape"] for each in report}


# -- ONNX files, without a GPU --------------------------------------------------------------------


def test_every_example_model_is_listed_here() -> None:
    assert {path.stem for path in MODELS.glob("*.onnx")} == AXES.keys()


@pytest.mark.parametrize("name", AXES)
def test_json_shows_the_symbolic_axes_of_a_real_model(name: str) -> None:
    report = told("inspect", MODELS / f"{name}.onnx")
    assert (shapes(report["inputs"]), shapes(report["outputs"])) == AXES[name]
    assert (report["batched"], report["fixed_batch"]) == (True, None)
    assert report["producer"] == "trtasync-examples 1"
    assert (report["opsets"], report["ir_version"]) == ({"ai.onnx": 17}, 9)


@pytest.mark.parametrize("name", AXES)
def test_the_table_shows_the_symbolic_axes_of_a_real_model(name: str) -> None:
    text = run("inspect", MODELS / f"{name}.onnx").stdout
    for tensors in AXES[name]:
        for tensor, axes in tensors.items():
            words(text, tensor, f"[{', '.join(map(str, axes))}]")


def test_the_profile_that_would_be_derived_is_shown() -> None:
    assert told("inspect", GATHER, "--max-batch-size", 8)["profile"] == "index:1/8/8"
    report = told("inspect", MODELS / "digits_line.onnx")
    assert report["profile"] == ""
    words(report["profile_problem"], 'axis 3 ("W") is dynamic', "--profile image:")


def test_types_counts_and_weights_are_shown() -> None:
    report = told("inspect", GATHER)
    assert report["operators"] == {"Gather": 1}
    assert (report["nodes"], report["weight_bytes"]) == (1, 256)
    assert report["bytes"] == GATHER.stat().st_size
    assert [each["dtype"] for each in report["inputs"] + report["outputs"]] == ["int64", "float32"]


@pytest.mark.parametrize(("write", "size"), [(write_matmul, 48), (write_branches, 96)])
def test_external_weights_are_shown(tmp_path: Path, write: Any, size: int) -> None:
    model = write(tmp_path / "m.onnx", matrix(), external="m.weights")
    report = told("inspect", model)
    assert report["external"] == {"m.weights": (tmp_path / "m.weights").stat().st_size}
    assert report["weight_bytes"] >= size
    words(run("inspect", model).stdout, "external", "m.weights")


def test_a_fixed_batch_is_shown(tmp_path: Path) -> None:
    model = write_matmul(tmp_path / "m.onnx", matrix(), batch=2)
    report = told("inspect", model)
    assert (report["fixed_batch"], report["profile"], report["profile_problem"]) == (2, "", "")
    words(run("inspect", model).stdout, "always 2 rows", "none needed")


def test_all_operators_are_listed_when_asked_for() -> None:
    model = MODELS / "digits_linew.onnx"
    words(run("inspect", model).stdout, "more (--layers)")
    operators = told("inspect", model)["operators"]
    words(run("inspect", model, "--layers").stdout, *(f"{o} x {n}" for o, n in operators.items()))


# -- rows -----------------------------------------------------------------------------------------

STATE = "(float[N,4] x, float[2,N,4] state, float rate) => (float[N,4] y, float[2,N,4] next)"
SUMS = "<int64 axis = {0}> { y = CumSum(x, axis)  next = Add(state, rate) }"


@pytest.fixture
def stateful(tmp_path: Path) -> Path:
    """One output whose rows are coupled, one whose are not; rows along different axes."""
    path = tmp_path / "state.onnx"
    path.write_bytes(graph(STATE, SUMS))
    return path


def test_where_rows_lie_and_what_is_proved_of_them(stateful: Path) -> None:
    report = told("inspect", stateful)
    tensors = report["inputs"] + report["outputs"]
    axes = {"x": 0, "state": 1, "rate": None, "y": 0, "next": 1}
    assert {each["name"]: each["batch_axis"] for each in tensors} == axes
    assert report["batched"]
    assert (report["proofs"]["next"], "CumSum" in report["proofs"]["y"]) == ("", True)
    text = run("inspect", stateful).stdout
    words(text, "axis 1", "if a test at opening finds no fault", "not proved: 'y': ", "CumSum")
    words(run("inspect", GATHER).stdout, "requests share batches: proved by the graph")


@pytest.mark.parametrize(
    ("batching", "batched", "proofs", "text"),
    [
        ("auto", True, {"y", "next"}, "if a test at opening"),
        ("proved", False, {"y", "next"}, "requests run alone; not proved: 'y'"),
        ("on", True, set(), "requests share batches"),
        ("off", False, set(), "requests run alone"),
    ],
)
def test_batching_is_that_of_the_engine(
    stateful: Path, batching: str, batched: bool, proofs: set[str], text: str
) -> None:
    report = told("inspect", stateful, "--batching", batching)
    assert (report["batched"], set(report["proofs"])) == (batched, proofs)
    words(run("inspect", stateful, "--batching", batching).stdout, text)


def test_batch_axes_are_those_of_the_engine(stateful: Path) -> None:
    report = told("inspect", stateful, "--batch-axis", "x=0", "--batch-axis", "state=none")
    assert [each["batch_axis"] for each in report["inputs"]] == [0, None, None]
    words(refused(2, "inspect", stateful, "--batch-axis", "z=0"), "names 'z'")


def test_rows_of_a_plan(gpu: Installed) -> None:
    plan = built().path
    assert [each["batch_axis"] for each in told("inspect", plan)["outputs"]] == [0]
    alone = told("inspect", plan, "--batching", "off", "--streams", 1)
    assert (alone["batched"], alone["planned"]["max_batch_size"]) == (False, 1)
    words(refused(2, "inspect", plan, "--batch-axis", "z=0"), "names 'z'")


# -- plans ----------------------------------------------------------------------------------------


def built(**options: Any) -> Plan:
    """A plan of gather.onnx, on the installed doubles."""

    async def main() -> Plan:
        return await build_plan(GATHER, **{"max_batch_size": 8, **options})

    return anyio.run(main)


def test_a_plan_tells_its_profiles_and_where_it_was_read(gpu: Installed) -> None:
    plan = built(profiles=["index:1/2/4", "index:5/6/8"])
    report = told("inspect", plan.path)
    assert report["profiles"] == [{"index": "1/2/4"}, {"index": "5/6/8"}]
    assert (report["tensorrt"], report["gpu"]) == (gpu.trt.__version__, "Double GPU")
    assert shapes(report["inputs"]) == {"index": [None]}
    assert report["bytes"] == plan.path.stat().st_size
    assert len(report["context_bytes"]) == 2
    words(run("inspect", plan.path).stdout, "5 / 6 / 8", "requests share batches", "int64")


@pytest.mark.parametrize(
    ("verbosity", "kind"), [("detailed", dict), ("layer_names_only", str), ("none", None)]
)
def test_a_plan_tells_its_layers_as_it_was_told_to(
    gpu: Installed, verbosity: Any, kind: type | None
) -> None:
    plan = built(builder_config=BuilderConfig(profiling_verbosity=verbosity))
    report = told("inspect", plan.path)
    assert (report["verbosity"], report["layer_count"]) == (verbosity, 1)
    assert [type(layer) for layer in report["layers"]] == ([kind] if kind else [])
    text = run("inspect", plan.path, "--layers").stdout
    words(text, "Gather_row" if kind else "tells nothing of its layers")


def test_a_plan_tells_what_can_be_done_with_its_weights(gpu: Installed) -> None:
    plain = told("inspect", built().path)
    assert (plain["refittable"], plain["streamable_bytes"]) == (False, 0)
    config = BuilderConfig(refit=True, weight_streaming=True)
    other = told("inspect", built(builder_config=config).path)
    assert other["refittable"]
    assert other["streamable_bytes"] > 0


LANES: list[tuple[list[object], dict[str, Any]]] = [
    ([], {}),
    (["--streams", 1], {"streams": 1}),
    (["--streams", 3, "--max-batch-size", 5], {"streams": 3, "max_batch_size": 5}),
    (["--batch-sizes", "2,6"], {"batch_sizes": [2, 6]}),
]


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["gather", "digits_linew"])
@pytest.mark.parametrize(("arguments", "options"), LANES, ids=lambda each: str(each))
async def test_planned_memory_is_what_an_engine_then_takes(
    gpu: Installed, name: str, arguments: list[object], options: dict[str, Any]
) -> None:
    profiles = "image:1x1x8x8/4x1x8x16/8x1x8x64" if name == "digits_linew" else None
    model = MODELS / f"{name}.onnx"
    plan = await build_plan(model, profiles=profiles, max_batch_size=8)
    report = await to_thread.run_sync(lambda: told("inspect", plan.path, *arguments))
    planned = report["planned"]
    assert (gpu.world.device_bytes, gpu.world.pinned_bytes) == (0, 0)
    async with open_engine(plan, **options):
        assert gpu.world.device_bytes == planned["device_bytes"]
        assert gpu.world.pinned_bytes == planned["pinned_bytes"]
    assert planned["streams"] == options.get("streams", 2)
    words(str(planned["batch_sizes"]), *map(str, options.get("batch_sizes", [])))


def test_a_batch_that_the_plan_does_not_take_is_refused(gpu: Installed) -> None:
    plan = built().path
    words(refused(2, "inspect", plan, "--max-batch-size", 9), "9", "at most 8")
    words(refused(2, "inspect", plan, "--batch-sizes", "0"), "must be 1 or more")


def test_a_version_compatible_plan_takes_trust(gpu: Installed) -> None:
    plan = built(builder_config=BuilderConfig(version_compatible=True)).path
    words(refused(4, "inspect", plan), "engine_host_code_allowed=True")
    assert told("inspect", plan, "--engine-host-code-allowed")["layer_count"] == 1


def test_the_lean_runtime_inspects_without_layers(tmp_path: Path) -> None:
    config = BuilderConfig(version_compatible=True, exclude_lean_runtime=True)
    with doubles.install():
        plan = built(builder_config=config).path
    with doubles.install(version="lean"):
        report = told("inspect", plan)
    assert report["layers"] == []
    assert report["profiles"] == [{"index": "1/8/8"}]


def test_a_plan_of_fixed_shapes_is_not_batched_by_profiles(gpu: Installed, tmp_path: Path) -> None:
    async def main() -> Plan:
        return await build_plan(identity(gpu.trt, (2, 4)), output=tmp_path / "m.plan")

    report = told("inspect", anyio.run(main).path)
    assert shapes(report["outputs"]) == {"y": [2, 4]}


# -- what goes wrong ------------------------------------------------------------------------------


def test_bad_files_end_with_4(gpu: Installed, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not ONNX, but text")
    (tmp_path / "m.plan").write_bytes(b"no plan")
    (tmp_path / "empty.plan").write_bytes(b"")
    (tmp_path / "m.txt").write_bytes(b"hello")
    words(refused(4, "inspect", tmp_path / "m.onnx"), "not an ONNX model")
    words(refused(4, "inspect", tmp_path / "m.plan"), "cannot read", "Magic tag")
    words(refused(4, "inspect", tmp_path / "empty.plan"), "empty.plan")
    words(refused(4, "inspect", tmp_path / "none.plan"), "is not a file")
    words(refused(4, "inspect", tmp_path / "none.onnx"), "No such file")
    words(refused(4, "inspect", tmp_path / "m.txt"), "neither an .onnx file nor")
    words(refused(4, "inspect", tmp_path), "neither an .onnx file nor")


def test_of_a_plan_without_a_gpu_its_first_bytes_are_told(tmp_path: Path) -> None:
    with doubles.install():
        plan = built().path
    head = b"ftrt" + bytes(20) + bytes([11, 4, 0, 106])
    (tmp_path / "11.plan").write_bytes(head + bytes(100))
    (tmp_path / "other.plan").write_bytes(b"ftrt" + b"\1" + head[5:])
    (tmp_path / "none.plan").write_bytes(b"none")
    with doubles.install(devices=0):
        found = told("inspect", plan)
        assert (found["flavour"], found["bytes"]) == ("tensorrt", plan.stat().st_size)
        words(found["unread"], "NVIDIA GPU")
        assert told("inspect", tmp_path / "11.plan")["tensorrt"] == "11.4.0.106"
        assert told("inspect", tmp_path / "other.plan")["tensorrt"] == ""
        assert told("inspect", tmp_path / "11.plan")["whole"] is None
        words(run("inspect", tmp_path / "11.plan").stdout, "built by", "TensorRT 11.4.0.106")
        words(run("inspect", tmp_path / "11.plan").stdout, "whole", "not looked at")
        words(refused(3, "inspect", tmp_path / "none.plan"), "NVIDIA GPU")
        assert told("inspect", GATHER)["nodes"] == 1


@pytest.mark.parametrize("magic", [b"ftrt", b"vtrt"])
@pytest.mark.parametrize("size", [4, 15, 27])
def test_what_is_too_short_for_a_plan_is_none(tmp_path: Path, magic: bytes, size: int) -> None:
    plan = tmp_path / "m.plan"
    plan.write_bytes((magic + b"garbage" * 4)[:size])
    with doubles.install(devices=0):
        text = refused(4, "inspect", plan)
    words(text, "m.plan begins like a plan of TensorRT", f"{size} bytes", "needs at least 28")
