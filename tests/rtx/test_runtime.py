"""TensorRT for RTX running plans, on doubles: no GPU that it supports has been at hand."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from support import doubles
from support.doubles import models, tensorrt_rtx
from support.doubles.tensorrt_rtx import Made
from support.helpers import row, same
from tests.plans.support import words
from tests.runtimes.backend_contract import PROMISES, Case
from tests.tensorrt.support import double, tensor
from trtasync import BackendUnavailable, open_engine
from trtasync.runtimes.flavours import RTX
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt import TensorRTBackend, TensorRTOptions, load
from trtasync.runtimes.tensorrt.library import Library

pytestmark = pytest.mark.anyio

ADA: dict[str, Any] = {"gpu": "Double RTX", "capability": (8, 9)}


@pytest.fixture
def made() -> Iterator[Made]:
    """A machine with one RTX GPU, and TensorRT for RTX alone; what is made there."""
    with on_a_machine(**ADA) as found:
        yield found


@contextmanager
def on_a_machine(**machine: Any) -> Iterator[Made]:
    """TensorRT for RTX beside the double of CUDA."""
    with doubles.install(**machine), patch.dict(sys.modules, {"tensorrt_rtx": tensorrt_rtx}):
        tensorrt_rtx._made = Made()
        yield tensorrt_rtx._made
        tensorrt_rtx._made = Made()


def write(folder: Path, model: models.Model) -> Path:
    """A plan of it, built by TensorRT for RTX."""
    path = folder / f"{model.name}.plan"
    content = models.plan(replace(model, version="1.7.1", capability="8.9"))
    path.write_bytes(RTX.magic + content[len(RTX.magic) :])
    return path


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


# -- what was compiled ----------------------------------------------------------------------------


async def opened(path: Path, made: Made, **options: Any) -> int:
    """How many kernels an opening compiles, all told."""
    before = len(made.configs)
    async with open_engine(path, streams=1, batching=True, batch_sizes=[1, 8], **options):
        (config,) = made.configs[before:]
        cache = config.get_runtime_cache()
        assert cache is not None
        return cache.compiled


def kept(folder: Path) -> list[str]:
    """Files of kernels."""
    return sorted(path.name for path in folder.glob("*.kernels"))


async def test_what_was_compiled_is_kept_beside_the_plan(made: Made, tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    assert await opened(path, made) == 2
    assert kept(tmp_path) == [f"{path.stem}.1.7.1.116-Double_RTX-8.9.kernels"]
    assert (tmp_path / kept(tmp_path)[0]).stat().st_mode & 0o777 == 0o600
    written = (tmp_path / kept(tmp_path)[0]).stat().st_mtime_ns
    assert await opened(path, made) == 0
    assert (tmp_path / kept(tmp_path)[0]).stat().st_mtime_ns == written  # nothing was new


async def test_every_kind_of_gpu_has_a_file_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    for gpu in ("Double RTX", "Another RTX", "Double RTX"):
        with on_a_machine(gpu=gpu, capability=(8, 9)) as made:
            compiled = await opened(path, made)
    assert compiled == 0
    assert len(kept(tmp_path)) == 2


@pytest.mark.parametrize("content", [b"", b"broken", b'[["Other", "8.9"], ["a kernel"]]'])
async def test_what_is_of_no_use_is_compiled_anew(
    made: Made, tmp_path: Path, content: bytes
) -> None:
    path = write(tmp_path, models.elementwise(double))
    await opened(path, made)
    file = tmp_path / kept(tmp_path)[0]
    file.write_bytes(content)
    assert await opened(path, made) == 2
    assert await opened(path, made) == 0


async def test_what_others_can_write_is_not_run(
    made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, models.elementwise(double))
    await opened(path, made)
    (tmp_path / kept(tmp_path)[0]).chmod(0o666)
    assert await opened(path, made) == 2
    assert [each for each in caplog.records if "compiled anew" in each.getMessage()]


async def test_nothing_is_kept_where_that_is_not_wanted(made: Made, tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    assert await opened(path, made, cache=False) == 2
    assert kept(tmp_path) == []


async def test_without_a_place_to_keep_it_all_goes_on(made: Made, tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double, name="n" * 230))  # no longer one would do
    assert await opened(path, made) == 2
    assert await opened(path, made) == 2
    assert kept(tmp_path) == []


# -- GPUs -----------------------------------------------------------------------------------------


async def test_a_gpu_that_it_refuses_is_told_with_those_it_runs_on(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    machine: dict[str, Any] = {"gpu": "NVIDIA H200", "capability": (9, 0)}
    with on_a_machine(**machine), pytest.raises(BackendUnavailable) as caught:
        await open_engine(path)
    words(str(caught.value), "does not run on NVIDIA H200 (compute capability 9.0)", "8.9, 12.0")
    words(str(caught.value), "trtasync[cu13]", "The engine cannot run on this GPU")


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
