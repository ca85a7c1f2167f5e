"""`trtasync build`."""

import importlib
import inspect
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anyio import to_thread

from support import doubles
from support.doubles import Installed, trt_graph
from support.helpers import MODELS
from tests.cli.support import refused, run, told
from tests.genuine.machines import Machine
from tests.plans.support import GATHER, TEN, contents, looks_up, note_of, words
from trtasync import BuilderConfig, Plan, Profile, build_plan

build_module = importlib.import_module("trtasync.cli.build")  # not the function of that name
LINE = MODELS / "digits_line.onnx"

OPTIONS: dict[str, tuple[list[str], Any]] = {
    "workspace": (["--workspace", "2GiB"], 2 << 30),
    "builder_optimization_level": (["--builder-optimization-level", "4"], 4),
    "tf32": (["--no-tf32"], False),
    "sparse_weights": (["--sparse-weights"], True),
    "refit": (["--refit"], True),
    "strip_plan": (["--strip-plan"], True),
    "version_compatible": (["--version-compatible"], True),
    "exclude_lean_runtime": (["--version-compatible", "--exclude-lean-runtime"], True),
    "hardware_compatibility_level": (
        ["--hardware-compatibility-level", "ampere_plus"],
        "ampere_plus",
    ),
    "max_aux_streams": (["--max-aux-streams", "2"], 2),
    "tactic_sources": (
        ["--tactic-source", "jit_convolutions", "--tactic-source", "edge_mask_convolutions"],
        ("JIT_CONVOLUTIONS", "EDGE_MASK_CONVOLUTIONS"),
    ),
    "avg_timing_iterations": (["--avg-timing-iterations", "3"], 3),
    "max_num_tactics": (["--max-num-tactics", "5"], 5),
    "tiling_optimization_level": (["--tiling-optimization-level", "fast"], "fast"),
    "profiling_verbosity": (["--profiling-verbosity", "detailed"], "detailed"),
    "weight_streaming": (["--weight-streaming"], True),
    "timing_cache": (["--no-timing-cache"], False),
    "fp16": (["--fp16"], True),
    "bf16": (["--bf16"], True),
    "compute_capabilities": (
        ["--compute-capability", "12.0", "--compute-capability", "8.9"],
        ("8.9", "12.0"),
    ),
    "flags": (["--flag", "strict_nans", "--flag", "DEBUG"], ("STRICT_NANS", "DEBUG")),
}
NOT_ON_THE_COMMAND_LINE = {"int8", "calibrator"}
"""A calibrator is an object."""


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `build_plan` is called with, instead of building."""
    calls: list[dict[str, Any]] = []

    async def note(source: Any, **options: Any) -> Plan:
        calls.append({"source": source, **options})
        return Plan(GATHER, "key", False, 0.0, "11", "GPU")

    monkeypatch.setattr(build_module, "build_plan", note)
    return calls


def test_every_keyword_of_the_config_is_an_option() -> None:
    names = {field.name for field in fields(BuilderConfig)}
    assert names == {*OPTIONS, *NOT_ON_THE_COMMAND_LINE}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_reaches_the_config(orders: list[dict[str, Any]], name: str) -> None:
    arguments, value = OPTIONS[name]
    run("build", GATHER, *arguments)
    (order,) = orders
    assert getattr(order["builder_config"], name) == value
    assert getattr(BuilderConfig(), name) != value


def test_without_options_everything_is_as_in_the_library(orders: list[dict[str, Any]]) -> None:
    run("build", GATHER)
    (order,) = orders
    assert order.pop("source") == str(GATHER)
    assert order.pop("builder_config") == BuilderConfig()
    del order["progress"]
    defaults = inspect.signature(build_plan).parameters
    assert order == {name: defaults[name].default for name in order} | {"profiles": []}


def test_shapes_and_places_reach_the_library(orders: list[dict[str, Any]], tmp_path: Path) -> None:
    run(
        *("build", LINE, "-o", tmp_path / "m.plan", "--cache-dir", tmp_path / "c"),
        *("--profile", "image:1x1x8x8", "--profile", "image:2x1x8x8", "--max-batch-size", 7),
        *("--min-shapes", "image:1x1x8x9", "--opt-shapes", "image:2x1x8x9"),
        *("--max-shapes", "image:3x1x8x9", "--cache-key", "mine", "--devices", 1),
        *("--batch-axis", "image=0", "--batch-axis", "probs=none", "--check", "1e-2"),
    )
    (order,) = orders
    texts = ["image:1x1x8x8", "image:2x1x8x8", "image:1x1x8x9/2x1x8x9/3x1x8x9"]
    assert order["profiles"] == list(map(Profile.parse, texts))
    assert (order["output"], order["cache"]) == (tmp_path / "m.plan", str(tmp_path / "c"))
    assert (order["max_batch_size"], order["cache_key"], order["device"]) == (7, "mine", 1)
    assert order["batch_axes"] == {"image": 0, "probs": None}
    assert (order["check"], order["samples"]) == (0.01, None)


def test_the_cache_can_be_left_out(orders: list[dict[str, Any]], tmp_path: Path) -> None:
    run("build", GATHER, "--no-cache", "-o", tmp_path / "m.plan")
    assert orders[0]["cache"] is False


# -- real builds ----------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_plan_that_it_writes_runs(gpu: Installed, tmp_path: Path) -> None:
    def build() -> Any:
        return run("build", GATHER, "-o", tmp_path / "m.plan", "--max-batch-size", 4, "--quiet")

    result = await to_thread.run_sync(build)
    words(result.stdout, str(tmp_path / "m.plan"), "built in", gpu.trt.__version__, "Double GPU")
    assert await looks_up(tmp_path / "m.plan")


def test_json_tells_the_plan(gpu: Installed, own_cache: Path) -> None:
    first, second = told("build", GATHER), told("build", GATHER)
    assert (first.pop("cached"), second.pop("cached")) == (False, True)
    assert first == second
    path = Path(first["path"])
    assert path.parent == own_cache / "plans"
    assert (path.stat().st_size, path.stem) == (first["bytes"], first["key"])
    assert (first["tensorrt"], first["gpu"]) == (gpu.trt.__version__, "Double GPU")


def test_a_plan_that_disagrees_with_onnx_runtime_ends_with_4(
    gpu: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = trt_graph.KERNELS["onnx"]
    wrong = lambda *given: tuple(y + np.float32(1) for y in exact(*given))  # noqa: E731 - short
    monkeypatch.setitem(trt_graph.KERNELS, "onnx", wrong)
    output = tmp_path / "m.plan"
    line = refused(4, "build", GATHER, "-o", output, "--check", "1e-2", "-q")
    words(line, "the plan is wrong and not kept", "'row' differs from ONNX Runtime")
    assert not output.exists()
    np.savez(tmp_path / "samples.npz", index=np.array([15]))
    run("build", GATHER, "-o", output, "--check", "0.1", "--samples", tmp_path / "samples.npz")
    assert output.exists()  # 1 beside the 63 of the last row


def test_a_plan_from_the_cache_is_said_to_be_one(machine: Machine) -> None:
    run("build", GATHER)
    words(run("build", GATHER).stdout, "taken from the cache, built in")


def test_trtexecs_command_line_serves(gpu: Installed, tmp_path: Path) -> None:
    profile = "image:1x1x8x8/16x1x8x16/64x1x8x32"
    plan = told("build", LINE, "-o", tmp_path / "m.plan", "--profile", profile)
    report = told("inspect", plan["path"])
    assert report["profiles"] == [{"image": "1x1x8x8/16x1x8x16/64x1x8x32"}]


def test_weak_types_build_on_ten(own_cache: Path) -> None:
    with doubles.install(version=TEN):
        plan = told("build", GATHER, "--fp16")
    assert note_of(Path(plan["path"]))["facts"]["config"]["fp16"] is True


NETWORK = """
def make(network):
    import tensorrt as trt
    x = network.add_input("x", trt.DataType.FLOAT, (-1, 4))
    y = network.add_identity(x).get_output(0)
    y.name = "y"
    network.mark_output(y)

number = 5
"""


def test_a_function_is_named_with_its_module(
    gpu: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"network_{gpu.trt.__version__.replace('.', '_')}"
    (tmp_path / f"{module}.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    plan = told("build", f"{module}:make", "--cache-key", "make")
    assert told("build", f"{module}:make", "--cache-key", "make")["path"] == plan["path"]
    assert [each["name"] for each in told("inspect", plan["path"])["inputs"]] == ["x"]
    words(refused(2, "build", f"{module}:number"), f"{module} has no function number")
    words(refused(2, "build", f"{module}:missing"), f"{module} has no function missing")
    words(refused(2, "build", f"{module}:make"), "no place for the plan", "cache_key")


# -- what goes wrong ------------------------------------------------------------------------------


def test_wrong_arguments_end_with_2(machine: Machine) -> None:
    words(refused(2, "build", GATHER, "--no-cache"), "--no-cache needs --output")
    words(refused(2, "build", GATHER, "--workspace", "much"), "'much' is not a size")
    words(refused(2, "build", GATHER, "--profile", "index:2/1/3"), "input 'index': axis 0")
    words(refused(2, "build", LINE), "input 'image': axis 3", "--profile image:")
    words(refused(2, "build", GATHER, "--min-shapes", "index:1"), "belong together")
    words(refused(2, "build", GATHER, "--devices", 4), "GPU 4", "has 1")
    words(refused(2, "build", GATHER, "--devices", "0,1"), "takes one GPU here")
    words(refused(2, "build", GATHER, "--flag", "NO_SUCH"), "BuilderFlag.NO_SUCH")
    words(refused(2, "build", "no_such_module:make"), "no such module")
    assert machine.builds.started == 0
    assert run("build", GATHER, "--no-such-option", code=2).stdout == ""


def test_a_machine_that_cannot_build_ends_with_3() -> None:
    with doubles.install(devices=0):
        words(refused(3, "build", GATHER), "NVIDIA GPU")
    with doubles.install(version="lean"):
        words(refused(3, "build", GATHER), "full TensorRT", "pip install")


def test_a_bad_model_or_place_ends_with_4(gpu: Installed, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(GATHER.read_bytes()[:200])
    words(refused(4, "build", tmp_path / "m.onnx"), "truncated")
    words(refused(4, "build", tmp_path / "none.onnx"), "none.onnx", "No such file")
    words(refused(4, "build", GATHER, "--cache-dir", tmp_path / "m.onnx" / "c"), "cannot be")
    gpu.builds.unsupported = {"Gather"}
    words(refused(4, "build", GATHER), "not supported by this TensorRT", "Gather (node 0")
    assert not [name for name in contents(tmp_path) if name.endswith((".plan", ".tmp"))]


def test_a_refusal_of_cuda_ends_with_5(machine: Machine) -> None:
    machine.world.fail("cudaSetDevice", "cudaErrorMemoryAllocation", 9)
    words(refused(5, "build", GATHER), "cudaErrorMemoryAllocation")


def test_what_nobody_expected_ends_with_1_and_says_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of\ncheese")

    monkeypatch.setattr(build_module, "build_plan", fail)
    words(refused(1, "build", GATHER), "RuntimeError: out of cheese (unexpected; --debug shows")


def test_debug_shows_the_traceback(machine: Machine, tmp_path: Path) -> None:
    result = run("build", tmp_path / "m.onnx", "--debug", code=1)
    assert type(result.exception).__name__ == "BuildError"
    assert result.stderr == ""


def test_nothing_is_printed_to_the_output_but_json(machine: Machine) -> None:
    result = run("build", GATHER, "--json", "-")
    assert json.loads(result.stdout)["key"]
    assert result.stderr == ""
