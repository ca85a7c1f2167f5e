"""From a model to a plan that answers as the model does."""

import gc
import os
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from examples.digit_pages import pages
from support.doubles import Installed
from support.helpers import MODELS, Array, same
from tests.genuine.machines import Machine
from tests.plans.support import (
    GATHER,
    PROFILES,
    answer_of,
    identity,
    mark,
    matrix,
    on_cpu,
    scaled,
    write_branches,
    write_matmul,
)
from trtasync import build_plan, open_engine

pytestmark = pytest.mark.anyio

RNG = np.random.default_rng(0)
ROWS: dict[str, dict[str, Array]] = {
    "digits_line": {"image": RNG.random((1, 1, 8, 24), np.float32)},
    "digits_linew": {"image": RNG.random((1, 1, 8, 24), np.float32), "width": np.array([20])},
    "digits_page": {"page": pages(1)[0].image[None]},
    "digits_pair": {name: RNG.random((1, 64), np.float32) for name in ("left", "right")},
    "gather": {"index": np.array([5])},
    "voice": {"sound": RNG.random((1, 256), np.float32), "floor": np.zeros(1, np.float32)},
}
"""One row for each example model, batch axis first; of texts.onnx a trial leaves its table."""


@pytest.mark.parametrize("name", ROWS)
async def test_a_plan_of_an_example_model_answers_as_the_model_does(
    gpu: Installed, name: str, tmp_path: Path
) -> None:
    model = MODELS / f"{name}.onnx"
    plan = await build_plan(
        model, profiles=PROFILES[name], max_batch_size=4, output=tmp_path / "out" / "m.plan"
    )
    row = {key: value[0] for key, value in ROWS[name].items()}
    async with open_engine(plan) as engine:
        answers = (await engine.infer(row)).values()
    for answer, expected in zip(answers, on_cpu(model, **ROWS[name]), strict=True):
        assert same(answer, expected[0])
    assert (plan.tensorrt, plan.gpu, plan.cached) == (gpu.trt.__version__, "Double GPU", False)
    assert plan.path == tmp_path / "out" / "m.plan"


async def test_weights_outside_of_the_file_are_found_beside_it(
    gpu: Installed, tmp_path: Path
) -> None:
    weight = matrix()
    model = write_matmul(tmp_path / "m.onnx", weight, external="m.weights")
    assert model.stat().st_size < 300
    row = matrix(1, 1, 4)[0]
    assert same(await answer_of(await build_plan(model, max_batch_size=4), row), row @ weight)


async def test_weights_of_nested_graphs_outside_of_the_file_are_found(
    gpu: Installed, tmp_path: Path
) -> None:
    weight = matrix()
    model = write_branches(tmp_path / "m.onnx", weight, external="branches.weights")
    row = matrix(1, 1, 4)[0]
    assert same(await answer_of(await build_plan(model, max_batch_size=4), row), row @ weight)


async def test_a_relative_path_finds_its_weights(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_matmul(tmp_path / "m.onnx", matrix(), external="m.weights")
    monkeypatch.chdir(tmp_path)
    plan = await build_plan("m.onnx", max_batch_size=4, output="m.plan")
    assert plan.path == Path("m.plan")
    assert plan.path.is_file()


async def test_the_classic_identity_network(gpu: Installed, tmp_path: Path) -> None:
    plan = await build_plan(
        identity(gpu.trt, (-1, -1, -1)),
        profiles="x:1x1x1/3x4x5/6x7x8",
        output=tmp_path / "identity.plan",
    )
    array = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    async with open_engine(plan) as engine:
        assert same(await engine.infer(array), array)


@pytest.mark.parametrize(
    ("operation", "function"),
    [("SUM", np.add), ("PROD", np.multiply), ("MAX", np.maximum), ("SUB", np.subtract)],
)
async def test_an_elementwise_network_of_two_inputs(
    gpu: Installed, tmp_path: Path, operation: str, function: np.ufunc
) -> None:
    def define(network: object) -> None:
        trt, add = gpu.trt, network.add_input  # type: ignore[attr-defined]
        sides = [add(name, trt.DataType.FLOAT, (-1, 4)) for name in ("a", "b")]
        op = getattr(trt.ElementWiseOperation, operation)
        mark(network, network.add_elementwise(*sides, op))  # type: ignore[attr-defined]

    plan = await build_plan(define, max_batch_size=4, output=tmp_path / "m.plan")
    a, b = matrix(1, 1, 4)[0], matrix(2, 1, 4)[0]
    assert same(await answer_of(plan, {"a": a, "b": b}), function(a, b))


async def test_weights_that_only_the_functions_result_holds_outlive_the_build(
    gpu: Installed, tmp_path: Path
) -> None:
    plan = await build_plan(scaled(gpu.trt, 3), max_batch_size=4, output=tmp_path / "m.plan")
    gc.collect()
    row = np.arange(4, dtype=np.float32)
    assert same(await answer_of(plan, row), row * 3)


async def test_what_the_function_returns_is_alive_while_tensorrt_builds(
    machine: Machine, tmp_path: Path
) -> None:
    class Holder:
        """Somebody's object with weights."""

    alive: list[bool] = []
    holders: list[weakref.ref[Holder]] = []

    def define(network: object) -> Holder:
        identity(machine.trt)(network)
        holder = Holder()
        holders.append(weakref.ref(holder))
        return holder

    def look(_: object) -> None:
        alive.append(holders[0]() is not None)

    await build_plan(define, max_batch_size=4, output=tmp_path / "m.plan", progress=look)
    assert set(alive) == {True}
    gc.collect()
    assert holders[0]() is None


async def test_a_plan_says_what_it_is(machine: Machine, tmp_path: Path) -> None:
    plan = await build_plan(GATHER, cache=tmp_path)
    assert plan.path == tmp_path / "plans" / f"{plan.key}.plan"
    assert plan.seconds > 0
    assert os.fspath(plan) == str(plan.path)


async def test_several_profiles_are_all_in_the_plan(gpu: Installed, tmp_path: Path) -> None:
    model = MODELS / "digits_line.onnx"
    texts = ["image:1x1x8x8/2x1x8x16/4x1x8x20", "image:1x1x8x21/2x1x8x32/4x1x8x64"]
    plan = await build_plan(model, profiles=texts)
    async with open_engine(plan) as engine:
        for width in (8, 20, 21, 64):
            row = RNG.random((1, 1, 8, width), np.float32)
            assert same(await engine.infer(row[0]), on_cpu(model, image=row)[0][0])


async def test_the_build_runs_off_the_loop(machine: Machine) -> None:
    threads: set[str] = set()
    await build_plan(
        GATHER,
        max_batch_size=4,
        progress=lambda news: threads.add(threading.current_thread().name),
    )
    assert threads
    assert threading.current_thread().name not in threads
