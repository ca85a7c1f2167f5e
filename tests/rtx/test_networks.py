"""What the genuine builder and parser let pass, or say in their own way, told in one sentence."""

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from anyio import to_thread
from onnx import TensorProto, helper

from support import doubles
from support.helpers import PATIENCE, until
from tests.plans.support import Attempt, contents, mark, save, words
from trtasync import BuilderConfig, BuildError, BuildProgress, PlanError, build_plan
from trtasync.plans import Phases
from trtasync.plans.onnx_files import read_onnx
from trtasync.plans.sources import OnnxModel
from trtasync.runtimes.flavours import RTX
from trtasync.runtimes.tensorrt.library import Library

pytestmark = pytest.mark.anyio

ADA = BuilderConfig(compute_capabilities=["8.9"])


async def refused(source: Any, folder: Path) -> str:
    """The one line of a build that fails, and leaves no plan."""
    output = folder / "out.plan"
    with pytest.raises(BuildError) as caught:
        await build_plan(source, output=output, builder_config=ADA, cache=False)
    assert not output.exists()
    text = str(caught.value)
    assert "\n" not in text
    assert "catchCudaError" not in text
    return text


def negated(network: Any, trt: Any, x: Any, name: str = "y") -> None:
    """-x -> name."""
    mark(network, network.add_unary(x, trt.UnaryOperation.NEG), name)


# -- functions ------------------------------------------------------------------------------------


def marks_an_input(network: Any, trt: Any) -> None:
    x = network.add_input("x", trt.float32, (2, 4))
    negated(network, trt, x)
    network.mark_output(x)


def counts_weights_wrongly(network: Any, trt: Any) -> object:
    weights = np.ones(4, np.float32)
    x = network.add_input("x", trt.float32, (2, 4))
    constant = network.add_constant((2, 4), weights).get_output(0)
    mark(network, network.add_elementwise(x, constant, trt.ElementWiseOperation.SUM))
    return weights


def names_two_alike(network: Any, trt: Any) -> None:
    x = network.add_input("x", trt.float32, (2, 4))
    negated(network, trt, x)
    negated(network, trt, x)


def names_an_output_like_the_input(network: Any, trt: Any) -> None:
    negated(network, trt, network.add_input("x", trt.float32, (2, 4)), "x")


def asks_for_an_input_that_is_not_there(network: Any, trt: Any) -> None:
    negated(network, trt, network.add_input("x", trt.float32, (2, 4)))
    network.get_input(9)


@pytest.mark.parametrize(
    ("define", "wanted"),
    [
        (marks_an_input, ["markOutput", "both input and output"]),
        (counts_weights_wrongly, ["constant weights has count 4 but 8 was expected"]),
        (names_two_alike, ["setName", "to y as the new name is already in use"]),
        (names_an_output_like_the_input, ["setName", "to x as the new name is already in use"]),
        (asks_for_an_input_that_is_not_there, ["getInput", "index: 9"]),
    ],
)
async def test_a_call_that_was_refused_inside_of_a_function_fails_the_build(
    rtx: Library, tmp_path: Path, define: Any, wanted: list[str]
) -> None:
    text = await refused(define, tmp_path)
    words(text, *wanted)
    if define is not counts_weights_wrongly:  # which TensorRT finds when it builds
        words(text, f"function {define.__name__} made a call that TensorRT refused")


def test_a_network_is_called_as_its_function_or_as_that_says(rtx: Library) -> None:
    phases = Phases(None)
    builder = phases.builder()

    def plain(network: Any, trt: Any) -> None:
        negated(network, trt, network.add_input("x", trt.float32, (2, 4)))

    def named(network: Any, trt: Any) -> None:
        plain(network, trt)
        network.name = "mine"

    assert phases.network(builder, plain).name == "plain"
    assert phases.network(builder, named).name == "mine"


# -- ONNX files -----------------------------------------------------------------------------------


def write(path: Path, *operators: str, name: str = "graph", kind: int = TensorProto.FLOAT) -> Path:
    """x -> operator -> ... -> y; the nodes are called step_0 and so on."""
    names = ["x", *(f"t{i}" for i in range(1, len(operators))), "y"]
    nodes = [
        helper.make_node(operator, [names[i]], [names[i + 1]], name=f"step_{i}")
        for i, operator in enumerate(operators)
    ]
    values = [helper.make_tensor_value_info(n, kind, ["N", 4]) for n in ("x", "y")]
    return save(path, helper.make_graph(nodes, name, values[:1], values[1:]))


async def test_operators_that_it_has_not_are_told_together(rtx: Library, tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx", "Nope", *["Relu", "Naught"] * 30)
    text = await refused(model, tmp_path)
    words(text, rtx.title, "m.onnx: not supported by this TensorRT: Nope (node 0 'step_0')")
    words(text, "Naught (node 2 'step_2', 4 'step_4', 6 'step_6', 27 more)")
    assert "Relu" not in text
    assert len(text) < 600


async def test_a_reason_of_several_lines_is_one(rtx: Library, tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "x"], ["y"], name="product")],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    text = await refused(save(tmp_path / "m.onnx", graph), tmp_path)
    words(text, "MatMul (node 0 'product')", "input0 = 4", "input1 = 2 but must match")


@pytest.mark.parametrize("operator", ["Relu", "Nope"])
async def test_a_node_may_have_a_name_that_is_no_text(
    rtx: Library, tmp_path: Path, operator: str
) -> None:
    model = write(tmp_path / "m.onnx", operator)
    model.write_bytes(model.read_bytes().replace(b"step_0", b"\xff\xfe\xff\xfe\xff\xfe"))
    if operator == "Relu":
        assert (await build_plan(model, builder_config=ADA)).path.exists()
    else:
        words(await refused(model, tmp_path), "Nope (node 0)")


def test_a_network_is_called_as_its_model(rtx: Library, tmp_path: Path) -> None:
    phases = Phases(None)
    builder = phases.builder()
    named = write(tmp_path / "m.onnx", "Relu", name="resnet")
    assert phases.parse(builder, named).name == "resnet"
    odd = tmp_path / "odd.onnx"
    odd.write_bytes(named.read_bytes().replace(b"resnet", b"\xff\xfe\xff\xfe\xff\xfe"))
    assert phases.parse(builder, odd).name == "odd"


async def test_what_is_double_in_the_file_and_float_in_the_plan_is_told(
    rtx: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = write(tmp_path / "m.onnx", "Relu", kind=TensorProto.DOUBLE)
    await build_plan(model, builder_config=ADA)
    (told,) = [each.getMessage() for each in caplog.records if "float64" in each.getMessage()]
    words(told, "m.onnx: 'x', 'y': float64 in the file, but float32 in the plan")
    caplog.clear()
    await build_plan(write(tmp_path / "f.onnx", "Relu"), builder_config=ADA)
    assert not [each for each in caplog.records if "float64" in each.getMessage()]


def test_a_files_bytes_are_let_go_before_the_build(rtx: Library, tmp_path: Path) -> None:
    model = OnnxModel(read_onnx(write(tmp_path / "m.onnx", "Relu")), None)
    phases = Phases(None)
    builder = phases.builder()
    network = phases.network_of(builder, model, strongly_typed=True)
    with pytest.raises(ValueError, match="closed"):
        model.file.content.view()
    config = phases.config(builder, ADA)
    phases.add_profiles(builder, network, config, max_batch_size=4)
    assert phases.serialize(builder, network, config).nbytes


# -- builds ---------------------------------------------------------------------------------------


async def test_a_build_that_was_called_off_is_no_error_in_the_log(
    rtx: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "trtasync.tensorrt")

    class Enough(Exception):
        """What the callback raises."""

    def stop(news: BuildProgress) -> None:
        if news.step:
            raise Enough

    model = write(tmp_path / "m.onnx", "Relu")
    with pytest.raises(Enough):
        await build_plan(model, builder_config=ADA, progress=stop)
    lines = [each for each in caplog.records if "BuildCanceled" in each.getMessage()]
    assert [each.levelno for each in lines] == [logging.DEBUG]
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_what_it_gives_out_is_refused_as_a_plan_when_it_is_none(rtx: Library) -> None:
    """Its memory has no length, and reading an element of it reads beyond it."""

    def plain(network: Any, trt: Any) -> None:
        negated(network, trt, network.add_input("x", trt.float32, (2, 4)))

    with doubles.install(capability=(8, 9), clean=False):  # only CUDA's double is asked here
        phases = Phases(0, RTX)
        builder = phases.builder()
        plan = phases.serialize(builder, phases.network(builder, plain), phases.config(builder))
        whole = bytes(memoryview(plan))  # type: ignore[arg-type]  # it has the buffer protocol
        for content in (plan, whole[:1000], b"", b"vtrt", object()):
            with pytest.raises(PlanError, match=r"TensorRT for RTX 1.* cannot read the plan"):
                phases.engine(phases.runtime(), content)


OTHER_LOGGER = """
from tests.genuine.library import installed
installing = installed()
trt = installing.__enter__()
other = trt.Logger(trt.Logger.INTERNAL_ERROR)
builder = trt.Builder(other)
from trtasync import BuilderConfig
from trtasync.plans import Phases
from trtasync.plans.onnx_files import read_onnx
from trtasync.plans.sources import OnnxModel
phases = Phases(None)
ours = phases.builder()
def define(network, trt):
    network.mark_output(network.add_input("x", trt.float32, (-1, 4)))
network = ours.create_network(1)
define(network, trt)
x = network.get_input(0)
network.mark_output(network.add_unary(x, trt.UnaryOperation.NEG).get_output(0))
try:
    phases.serialize(ours, network, phases.config(ours))
except Exception as error:
    print(error)
"""


def test_where_another_logger_was_first_errors_are_told_all_the_same(rtx: Library) -> None:
    """TensorRT says then that ours is ignored. In a process of its own, which keeps the first."""
    done = subprocess.run(
        [sys.executable, "-c", OTHER_LOGGER],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    words(done.stdout, "created no plan", "no optimization profile has been defined")


async def test_who_calls_a_build_off_is_told_while_it_goes_on(rtx: Library, tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    heard: list[BuildProgress] = []

    def hold(news: BuildProgress) -> None:
        heard.append(news)
        begun.set()
        assert go_on.wait(PATIENCE)

    output = tmp_path / "out.plan"
    model = write(tmp_path / "m.onnx", "Relu")
    attempt = Attempt()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            attempt.run,
            lambda: build_plan(
                model, builder_config=ADA, progress=hold, cache=tmp_path / "cache", output=output
            ),
        )
        assert await to_thread.run_sync(begun.wait, PATIENCE)
        attempt.scope.cancel()
        await attempt.done.wait()
        assert _builders()  # TensorRT has not noticed yet
        go_on.set()
    await until(lambda: not _builders())
    assert attempt.scope.cancelled_caught
    assert len(heard) == 1
    assert not output.exists()
    assert contents(tmp_path / "cache") == {}


def _builders() -> list[str]:
    return [each.name for each in threading.enumerate() if "trtasync" in each.name]
