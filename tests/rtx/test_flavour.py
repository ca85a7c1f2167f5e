"""The genuine builder of TensorRT for RTX, on a machine without a GPU."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import doubles
from tests.cli.support import refused, run, told
from tests.plans.support import GATHER, mark, words
from trtasync import (
    BackendUnavailable,
    BuilderConfig,
    InvalidInput,
    PlanError,
    build_plan,
    open_engine,
)
from trtasync.plans import Phases
from trtasync.runtimes.flavours import RTX, TENSORRT, VARIABLE
from trtasync.runtimes.tensorrt.library import Library, library

pytestmark = pytest.mark.anyio

ADA = BuilderConfig(compute_capabilities=["8.9"])


def doubled(network: Any, trt: Any) -> object:
    """x[N, 4] * 2 -> y."""
    weights = np.full((1, 4), 2, np.float32)
    x = network.add_input("x", trt.float32, (-1, 4))
    constant = network.add_constant((1, 4), weights)
    product = trt.ElementWiseOperation.PROD
    mark(network, network.add_elementwise(x, constant.get_output(0), product))
    return weights


# -- which one ------------------------------------------------------------------------------------


def test_the_one_that_is_installed_is_taken_and_tensorrt_first(
    rtx: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert library() is rtx
    with doubles.install():
        assert library().flavour is TENSORRT
        assert library(RTX) is rtx
        monkeypatch.setenv(VARIABLE, "rtx")
        assert library() is rtx
        assert library(TENSORRT).flavour is TENSORRT
        monkeypatch.setenv(VARIABLE, "lean")
        with pytest.raises(InvalidInput, match="'tensorrt' or 'rtx', not 'lean'"):
            library()


def test_a_flavour_that_is_not_there_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RTX.modules:
        monkeypatch.setitem(sys.modules, name, None)
    with doubles.install():
        with pytest.raises(BackendUnavailable, match=r"RTX is needed.*trtasync\[rtx\]"):
            library(RTX)
        monkeypatch.setenv(VARIABLE, "rtx")
        with pytest.raises(BackendUnavailable, match=r"insisted on by TRTASYNC_TENSORRT"):
            library()


async def test_a_plan_for_named_gpus_is_built_beside_tensorrt(rtx: Library) -> None:
    with doubles.install(devices=0):  # TensorRT is there, a GPU is not
        plan = await build_plan(GATHER, builder_config=ADA)
    assert (plan.flavour, plan.tensorrt, plan.gpu) == (
        "rtx",
        rtx.version,
        "compute capability 8.9",
    )
    assert plan.path.read_bytes().startswith(RTX.magic)


# -- keys -----------------------------------------------------------------------------------------


async def test_the_key_holds_the_named_gpus_and_no_driver(rtx: Library) -> None:
    first = await build_plan(GATHER, builder_config=ADA)
    note = json.loads(first.path.with_suffix(".json").read_text())
    assert note["facts"]["gpu"] == "compute capability 8.9"
    assert not {"driver", "capability", "processors"} & note["facts"].keys()
    with doubles.install(gpu="Another", driver=12090):
        assert (await build_plan(GATHER, builder_config=ADA)).cached
    twice = BuilderConfig(compute_capabilities=["8.9", "8.9"])
    assert (await build_plan(GATHER, builder_config=twice)).cached
    both = BuilderConfig(compute_capabilities=["12.0", "8.9"])
    assert not (await build_plan(GATHER, builder_config=both)).cached
    turned = BuilderConfig(compute_capabilities=["8.9", "12.0"])
    assert (await build_plan(GATHER, builder_config=turned)).cached


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"compute_capabilities": ["9.0"]}, ["capability 9.0", "8.9, 12.0, 12.1", "cu13"]),
        ({"version_compatible": True}, ["no version_compatible", "leave it out"]),
        ({"hardware_compatibility_level": "ampere_plus"}, ["compute_capabilities"]),
        ({"timing_cache": True}, ["no timing_cache", "measures nothing"]),
        ({"flags": ["editable_timing_cache"]}, ["EDITABLE_TIMING_CACHE", "leave it out"]),
        ({"refit": True}, ["REFIT", "needs a GPU to build"]),
        ({"strip_plan": True}, ["STRIP_PLAN", "needs a GPU to build"]),
        ({"flags": ["refit_identical"]}, ["REFIT_IDENTICAL", "needs a GPU to build"]),
        ({"fp16": True}, ["TensorRT for RTX", "no BuilderFlag.FP16", "modelopt"]),
    ],
)
async def test_what_it_has_not_is_refused_with_the_way_out(
    rtx: Library, options: dict[str, Any], wanted: list[str]
) -> None:
    config = BuilderConfig(**{"compute_capabilities": ["8.9"], **options})
    with pytest.raises(InvalidInput) as caught:
        await build_plan(GATHER, builder_config=config)
    words(str(caught.value), rtx.title, *wanted)


def test_compute_capabilities_are_no_option_of_tensorrt() -> None:
    with doubles.install():
        phases = Phases()
        with pytest.raises(InvalidInput, match=r"for the GPU at hand.*trtasync\[rtx\]"):
            phases.config(phases.builder(), ADA)


async def test_without_a_gpu_the_way_to_build_without_one_is_told(rtx: Library) -> None:
    with pytest.raises(BackendUnavailable, match="name the GPUs that the plan is for"):
        await build_plan(GATHER, backend="tensorrt-rtx")


async def test_what_is_to_be_checked_needs_a_gpu_before_it_is_built(
    rtx: Library, tmp_path: Path
) -> None:
    output = tmp_path / "m.plan"
    with pytest.raises(BackendUnavailable, match="NVIDIA GPU"):
        await build_plan(GATHER, builder_config=ADA, check=0.1, output=output)
    assert not output.exists()


# -- step by step ---------------------------------------------------------------------------------


def test_phases_without_a_gpu_build_and_run_nothing(rtx: Library) -> None:
    phases = Phases(None)
    builder = phases.builder()
    network = phases.network(builder, doubled)
    config = phases.config(builder, ADA)
    phases.add_profiles(builder, network, config, "x:1x4/2x4/8x4")
    plan = bytes(phases.serialize(builder, network, config))  # type: ignore[call-overload]
    assert plan.startswith(RTX.magic)
    with pytest.raises(BackendUnavailable, match="builds without a GPU and runs no plans"):
        phases.runtime()


def test_the_builder_is_told_of_every_gpu(rtx: Library, trt: Any) -> None:
    phases = Phases(None)
    config = BuilderConfig(compute_capabilities=["12.0", "8.6"])
    target: Any = phases.config(phases.builder(), config)
    found = [target.get_compute_capability(i) for i in range(target.num_compute_capabilities)]
    assert found == [trt.ComputeCapability.SM86, trt.ComputeCapability.SM120]
    assert phases.config(phases.builder()).num_compute_capabilities == 0  # all that it supports


async def test_a_network_function_gets_the_module_it_asks_for(rtx: Library, tmp_path: Path) -> None:
    given = []

    def by_name(network: Any, *, trt: Any) -> object:
        given.append(trt)
        return doubled(network, trt)

    for define in (doubled, by_name):
        await build_plan(define, output=tmp_path / "m.plan", builder_config=ADA, cache=False)
    assert given == [rtx.trt]


# -- plans of the two -----------------------------------------------------------------------------


async def test_the_first_bytes_of_a_plan_choose_who_opens_it(
    rtx: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await build_plan(GATHER, builder_config=ADA)
    with doubles.install():
        other = await build_plan(GATHER)
        assert other.path.read_bytes().startswith(TENSORRT.magic)
        with pytest.raises(PlanError, match="plan of TensorRT, which TensorRT for RTX cannot"):
            await open_engine(other.path, backend="tensorrt-rtx")
        monkeypatch.setenv(VARIABLE, "rtx")
        async with open_engine(other.path):
            pass
        phases = Phases(flavour=TENSORRT)
        for content in (plan.path, plan.path.read_bytes(), memoryview(plan.path.read_bytes())):
            with pytest.raises(PlanError, match="plan of TensorRT for RTX, which TensorRT 11"):
                phases.engine(phases.runtime(), content)


async def test_a_plan_of_a_flavour_that_is_not_there_says_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in RTX.modules:
        monkeypatch.setitem(sys.modules, name, None)
    plan = tmp_path / "model.plan"
    plan.write_bytes(RTX.magic + bytes(100))
    with doubles.install(), pytest.raises(BackendUnavailable, match=r"trtasync\[rtx\]"):
        await open_engine(plan)


# -- the command line -----------------------------------------------------------------------------


def test_the_command_line_builds_and_inspects(rtx: Library, tmp_path: Path) -> None:
    plan = tmp_path / "m.plan"
    facts = told("build", GATHER, "--compute-capability", "8.9", "-o", plan)
    assert facts["flavour"] == "rtx"
    assert facts["tensorrt"] == rtx.version
    assert facts["bytes"] == plan.stat().st_size
    found = told("inspect", plan)
    assert (found["flavour"], found["tensorrt"]) == ("rtx", rtx.version)
    assert found["whole"] is True
    words(
        run("inspect", plan).stdout,
        f"TensorRT for RTX {rtx.version}",
        "as many bytes as its header",
    )
    whole = plan.read_bytes()
    plan.write_bytes(whole[:-1])
    words(refused(4, "inspect", plan), f"{len(whole) - 1} bytes", f"speaks of {len(whole)}")
    plan.write_bytes(whole + b"more")
    assert told("inspect", plan)["whole"] is False
    words(run("inspect", plan).stdout, "more bytes than its header says")
    words(refused(2, "build", GATHER, "--compute-capability", "9.0", "-o", plan), "9.0", "cu13")
