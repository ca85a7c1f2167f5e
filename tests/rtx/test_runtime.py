"""TensorRT for RTX running plans, on doubles: no GPU that it supports has been at hand."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.doubles import models, tensorrt_rtx
from support.doubles.tensorrt_rtx import Made
from support.helpers import row, same
from tests.plans.support import GATHER, on_cpu, words
from tests.rtx.support import ADA, on_a_machine, write
from tests.runtimes.backend_contract import PROMISES, Case
from tests.tensorrt.support import double, tensor
from trtasync import (
    BackendUnavailable,
    BuilderConfig,
    InvalidInput,
    PlanError,
    build_plan,
    open_engine,
)
from trtasync.runtimes.flavours import VARIABLE
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt import TensorRTBackend, TensorRTOptions, load
from trtasync.runtimes.tensorrt.library import Library

pytestmark = pytest.mark.anyio

ADA_ONLY = BuilderConfig(compute_capabilities=["8.9"])
HOPPER: dict[str, Any] = {"gpu": "NVIDIA H200", "capability": (9, 0)}


def fixed(**more: Any) -> models.Model:
    """`double` of x[4, 4], in this shape only."""
    ranges = ((4, 4), (4, 4), (4, 4))
    return models.Model(
        "fixed",
        [tensor("x", (4, 4), ranges)],
        [tensor("y", (4, 4))],
        models.host_kernel(lambda x: (double(x),)),
        **more,
    )


def _load(path: Path, graphs: bool) -> TensorRTBackend:
    return load(PlanFile(path), TensorRTOptions(padding={}, graphs=graphs))


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("graphs", [True, False], ids=["graphs", "no-graphs"])
def test_the_backend_keeps_its_promises(
    made: Made, tmp_path: Path, graphs: bool, promise: Callable[[Case], None]
) -> None:
    path = write(tmp_path, models.elementwise(double))
    promise(Case(partial(_load, path, graphs), lambda n: (row(n),), lambda x: [double(x)]))


# -- contexts and graphs --------------------------------------------------------------------------


async def test_a_lane_has_one_context_and_answers_in_every_size(made: Made, tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    async with open_engine(path, streams=2, batching=True, batch_sizes=[1, 2, 8]) as engine:
        assert len(made.contexts) == 2
        for rows in (1, 3, 8, 2):
            x = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
            assert same(await engine.infer(x), double(x))
    assert len(made.contexts) == 2


async def test_contexts_are_made_with_a_configuration_of_ours(made: Made, tmp_path: Path) -> None:
    trt = tensorrt_rtx
    async with open_engine(write(tmp_path, models.elementwise(double)), batching=True):
        (config,) = made.configs
        assert [context._config for context in made.contexts] == [config, config]
    eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
    assert config.dynamic_shapes_kernel_specialization_strategy is eager
    assert config.cuda_graph_strategy is trt.CudaGraphStrategy.DISABLED
    own = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    assert config.get_execution_context_allocation_strategy() is own


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        (lambda: models.elementwise(double), False),
        (fixed, True),
        (lambda: fixed(capturable=False), True),
    ],
    ids=["dynamic", "fixed", "not capturable"],
)
async def test_a_graph_is_captured_where_no_other_shape_comes_and_tensorrt_agrees(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, model: Any, asked: bool
) -> None:
    with on_a_machine(**ADA):
        calls = tensorrt_rtx._calls
        path = write(tmp_path, model())
        x = np.arange(16, dtype=np.float32).reshape(4, 4)
        async with open_engine(path, streams=1, batching=False) as engine:
            assert bool(calls["is_stream_capturable"]) is asked
            ran = calls["execute_async_v3"]
            answer = await engine.infer(x)
            replayed = calls["execute_async_v3"] == ran
        assert same(answer, double(x))
        assert replayed is (asked and model is fixed)
    assert not [each for each in caplog.records if "no CUDA graph" in each.getMessage()]


# -- GPUs -----------------------------------------------------------------------------------------


async def test_a_gpu_that_it_refuses_is_told_with_those_it_runs_on(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    with on_a_machine(**HOPPER), pytest.raises(BackendUnavailable) as caught:
        await open_engine(path)
    words(str(caught.value), "does not run on NVIDIA H200 (compute capability 9.0)", "8.9, 12.0")
    words(str(caught.value), "trtasync[cu13]", "The engine cannot run on this GPU")


async def test_for_a_gpu_that_it_refuses_nothing_is_built(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "rtx")
    with on_a_machine(**HOPPER):
        with pytest.raises(BackendUnavailable, match="does not run on NVIDIA H200"):
            await open_engine(GATHER, backend="tensorrt-rtx")
        with pytest.raises(BackendUnavailable, match="does not run on NVIDIA H200"):
            await open_engine(GATHER, backend="tensorrt-rtx", builder_config=ADA_ONLY)
        with pytest.raises(BackendUnavailable, match="does not run on NVIDIA H200"):
            await build_plan(GATHER, check=1e-2)
        async with open_engine(GATHER) as engine:  # on the CPU
            assert same(await engine.infer(np.array([3])), on_cpu(GATHER, index=np.array([3]))[0])
    (told,) = [each for each in map(str, caplog.messages) if "there is a GPU" in each]
    words(told, "cannot be used", "does not run on NVIDIA H200")


@pytest.mark.parametrize(
    ("capability", "way_out"),
    [
        ((8, 6), "with '8.6' among compute_capabilities"),
        ((7, 5), "with '7.5' among compute_capabilities"),
        ((13, 0), "without compute_capabilities"),
    ],
)
async def test_a_gpu_that_the_plan_is_not_for_is_told_how_to_build_it(
    tmp_path: Path, capability: tuple[int, int], way_out: str
) -> None:
    path = write(tmp_path, models.elementwise(double))  # for 8.9
    with on_a_machine(gpu="Another RTX", capability=capability), pytest.raises(PlanError) as caught:
        await open_engine(path)
    words(str(caught.value), "on Another RTX", way_out)
    for option in ("hardware compatible", "engine_host_code_allowed"):  # TensorRT's own
        assert option not in str(caught.value)


async def test_a_plan_that_could_not_run_here_is_not_built(made: Made) -> None:
    other = BuilderConfig(compute_capabilities=["12.0"])
    told = r"is to run on Double RTX \(compute capability 8.9\).*\['12.0'\].*build_plan"
    with pytest.raises(InvalidInput, match=told):
        await open_engine(GATHER, backend="tensorrt-rtx", builder_config=other)
    with pytest.raises(InvalidInput, match=told):
        await build_plan(GATHER, builder_config=other, check=1e-2)


async def test_a_gpu_that_has_to_be_named_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "rtx")
    told = r"is to run on Turing \(compute capability 7.5\).*compute_capabilities=\['7.5'\]"
    with on_a_machine(gpu="Turing", capability=(7, 5)):
        with pytest.raises(InvalidInput, match=told):
            await open_engine(GATHER, backend="tensorrt-rtx")
        with pytest.raises(InvalidInput, match=told):
            await build_plan(GATHER, check=1e-2)


async def test_without_a_gpu_a_check_is_refused_with_the_way_out(rtx: Library) -> None:
    with pytest.raises(BackendUnavailable, match="leave out check"):
        await build_plan(GATHER, builder_config=ADA_ONLY, check=1e-2)


# -- the genuine bindings -------------------------------------------------------------------------


def test_the_genuine_bindings_have_what_is_used(rtx: Library) -> None:
    trt: Any = rtx.trt
    for owner, names in {
        trt.ICudaEngine: ["create_runtime_config"],
        trt.IRuntimeConfig: [
            "create_runtime_cache",
            "set_runtime_cache",
            "set_execution_context_allocation_strategy",
            "dynamic_shapes_kernel_specialization_strategy",
            "cuda_graph_strategy",
        ],
        trt.IRuntimeCache: ["serialize", "deserialize"],
        trt.IExecutionContext: ["is_stream_capturable"],
        trt.DynamicShapesKernelSpecializationStrategy: ["EAGER"],
        trt.CudaGraphStrategy: ["DISABLED"],
        trt.ComputeCapability: [
            each for each in dir(tensorrt_rtx.ComputeCapability) if "SM" in each
        ],
    }.items():
        assert [name for name in names if not hasattr(owner, name)] == []
    taken = trt.ICudaEngine.create_execution_context.__doc__
    assert "runtime_config: " in taken
