"""`open_engine("model.onnx")`: where it runs, and that its plan is built once."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import doubles
from support.doubles import Installed
from support.helpers import MODELS, same
from tests.genuine.machines import Machine
from tests.plans.support import (
    GATHER,
    VERSIONS,
    Counts,
    answer_of,
    contents,
    counts,
    looks_up,
    matrix,
    note_of,
    on_cpu,
    replace_plan,
    words,
    write_matmul,
)
from tests.rows.support import graph
from trtasync import (
    BackendUnavailable,
    BuilderConfig,
    CudaError,
    InvalidInput,
    PlanError,
    build_plan,
    open_engine,
)

pytestmark = pytest.mark.anyio

INDEX = np.array(3, np.int64)


async def test_a_model_is_built_once_for_two_openings(gpu: Installed) -> None:
    assert await looks_up(GATHER)
    assert await looks_up(GATHER)
    assert counts(gpu) == Counts(1, 1, 0)


async def test_a_config_of_another_kind_is_refused_by_its_name(gpu: Installed) -> None:
    given: Any = {"tf32": False}
    with pytest.raises(InvalidInput, match=r"builder_config must be a trtasync\.BuilderConfig"):
        await open_engine(GATHER, builder_config=given)
    assert gpu.builds.started == 0


async def test_it_runs_on_tensorrt_where_there_is_a_gpu(gpu: Installed) -> None:
    async with open_engine(GATHER) as engine:
        assert "tensorrt" in repr(engine)


async def test_its_plan_is_the_one_that_build_plan_makes(gpu: Installed) -> None:
    await build_plan(GATHER, max_batch_size=4)
    assert await looks_up(GATHER, max_batch_size=4)
    assert gpu.builds.started == 1


@pytest.mark.parametrize(
    ("machine", "reason"),
    [({"devices": 0}, "needs an NVIDIA GPU"), ({"version": "lean"}, "needs the full TensorRT")],
    ids=["no-gpu", "lean"],
)
async def test_without_a_tensorrt_that_builds_it_runs_on_the_cpu(
    machine: dict[str, object], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trtasync")
    with doubles.install(**machine):  # type: ignore[arg-type]
        async with open_engine(GATHER) as engine:
            assert "onnxruntime" in repr(engine)
            assert same(await engine.infer(INDEX), np.arange(12, 16, dtype=np.float32))
    words(caplog.text, "gather.onnx: on the CPU", reason)


async def test_a_gpu_that_cannot_be_used_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with doubles.install(version="lean"):
        assert await looks_up(GATHER)
    (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    words(warning.getMessage(), "there is a GPU", "pip install")


async def test_lean_is_refused_where_tensorrt_was_asked_for() -> None:
    with doubles.install(version="lean"), pytest.raises(BackendUnavailable, match="full TensorRT"):
        await looks_up(GATHER, backend="tensorrt")


async def test_no_gpu_is_refused_where_tensorrt_was_asked_for() -> None:
    with doubles.install(devices=0), pytest.raises(BackendUnavailable, match="NVIDIA GPU"):
        await looks_up(GATHER, backend="tensorrt")


async def test_onnxruntime_is_taken_where_it_was_asked_for(machine: Machine) -> None:
    async with open_engine(GATHER, backend="onnxruntime") as engine:
        assert "onnxruntime" in repr(engine)
    assert machine.builds.started == 0


async def test_profiles_decide_which_shapes_it_takes(gpu: Installed) -> None:
    model = MODELS / "digits_line.onnx"
    image = np.random.default_rng(0).random((1, 1, 8, 24), np.float32)
    async with open_engine(model, profiles="image:1x1x8x8/2x1x8x16/4x1x8x24") as engine:
        assert same(await engine.infer(image[0]), on_cpu(model, image=image)[0][0])
        with pytest.raises(InvalidInput, match="25"):
            await engine.infer(np.zeros((1, 8, 25), np.float32))


async def test_a_profile_that_is_missing_is_asked_for(machine: Machine) -> None:
    with pytest.raises(InvalidInput, match=r"input 'image': axis 3 \(\"W\"\) is dynamic"):
        await answer_of(MODELS / "digits_line.onnx", INDEX)
    assert machine.builds.started == 0


async def test_batch_axes_decide_what_is_derived(gpu: Installed, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(graph("(float[4,M] x) => (float[4,M] y)", "{ y = Softmax <axis = 0> (x) }"))
    with pytest.raises(InvalidInput, match="axis 1"):
        async with open_engine(model):
            raise AssertionError
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    async with open_engine(model, batch_axes={"x": 1, "y": 1}, max_batch_size=3) as engine:
        assert engine.batching.batched
        expected = np.exp(rows) / np.exp(rows).sum(axis=0)
        np.testing.assert_allclose(await engine.infer(rows), expected, rtol=1e-5)


async def test_the_builder_config_is_used(gpu: Installed) -> None:
    gpu.builds.workspace_needed = 1 << 20
    with pytest.raises(PlanError, match="Could not find any implementation"):
        await looks_up(GATHER, builder_config=BuilderConfig(workspace=1 << 19))
    assert await looks_up(GATHER, builder_config=BuilderConfig(workspace=1 << 20))


@pytest.mark.parametrize("choose", [str, Path], ids=["text", "path"])
async def test_a_cache_folder_can_be_given(
    gpu: Installed, tmp_path: Path, own_cache: Path, choose: Callable[[Path], object]
) -> None:
    assert await looks_up(GATHER, cache=choose(tmp_path / "here"))
    assert contents(tmp_path / "here")
    assert contents(own_cache) == {}


async def test_without_a_cache_nothing_is_kept_anywhere(
    gpu: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(2):
        assert await looks_up(GATHER, cache=False)
    assert gpu.builds.started == 2
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("version", VERSIONS)
async def test_it_is_built_for_the_device_it_runs_on(version: str) -> None:
    with doubles.install(devices=2, version=version) as gpu:
        async with open_engine(GATHER, devices=[1], max_batch_size=4) as engine:
            assert {stream.device for stream in gpu.world.streams.values()} == {1}
            assert same(await engine.infer(INDEX), np.arange(12, 16, dtype=np.float32))


async def test_a_gpu_that_is_not_there_is_named(machine: Machine) -> None:
    with pytest.raises(InvalidInput, match="there is no GPU 1: this machine has 1"):
        await looks_up(GATHER, devices=[1])


async def test_a_kept_plan_that_tensorrt_refuses_is_built_again_once(
    gpu: Installed, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = await build_plan(GATHER, max_batch_size=4)
    replace_plan(plan.path, b"no plan at all, but whole")
    assert await looks_up(GATHER)
    assert gpu.builds.started == 2
    words(caplog.text, "the plan in the cache is not usable", "Magic tag does not match")
    assert await looks_up(GATHER)
    assert gpu.builds.started == 2


async def test_a_new_plan_that_cannot_be_used_is_an_error_and_built_once(gpu: Installed) -> None:
    gpu.world.fail("cudaStreamCreateWithFlags", "cudaErrorMemoryAllocation", 9)
    with pytest.raises(CudaError, match="cudaErrorMemoryAllocation"):
        await looks_up(GATHER)
    assert gpu.builds.started == 1


async def test_a_version_compatible_plan_that_was_built_here_is_trusted(gpu: Installed) -> None:
    config = BuilderConfig(version_compatible=True)
    for _ in range(2):
        assert await looks_up(GATHER, builder_config=config)
    assert gpu.builds.started == 1


async def test_a_version_compatible_plan_from_elsewhere_takes_trust(gpu: Installed) -> None:
    plan = await build_plan(
        GATHER, builder_config=BuilderConfig(version_compatible=True), max_batch_size=4
    )
    with pytest.raises(PlanError, match="engine_host_code_allowed=True, if you trust it"):
        await looks_up(plan)
    assert await looks_up(plan, engine_host_code_allowed=True)


async def test_without_its_runtime_inside_a_plan_needs_no_trust(gpu: Installed) -> None:
    config = BuilderConfig(version_compatible=True, exclude_lean_runtime=True)
    assert await looks_up(await build_plan(GATHER, builder_config=config, max_batch_size=4))


async def test_the_lean_runtime_runs_a_version_compatible_plan(tmp_path: Path) -> None:
    config = BuilderConfig(version_compatible=True, exclude_lean_runtime=True)
    with doubles.install():
        plan = await build_plan(GATHER, builder_config=config, max_batch_size=4)
    with doubles.install(version="lean"):
        assert await looks_up(plan)


@pytest.mark.parametrize("sizes", [{"max_batch_size": 6}, {"batch_sizes": [2, 6]}])
async def test_the_derived_profile_goes_up_to_the_largest_batch(
    gpu: Installed, tmp_path: Path, sizes: dict[str, object]
) -> None:
    model = write_matmul(tmp_path / "m.onnx", matrix())
    async with open_engine(model, cache=tmp_path, **sizes) as engine:  # type: ignore[call-overload]  # by name
        assert same(await engine.infer(matrix(1, 6, 4)), matrix(1, 6, 4) @ matrix())
    (plan,) = (tmp_path / "plans").glob("*.plan")
    assert note_of(plan)["facts"]["max_batch_size"] == 6
