"""TensorRT's steps one by one: they give TensorRT's own objects, and its own words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import doubles
from support.doubles import Installed
from tests.genuine.machines import Machine
from tests.plans.support import GATHER, identity, scaled, words
from trtasync import BackendUnavailable, BuilderConfig, BuildError, InvalidInput, PlanError, Profile
from trtasync.plans import Phases


def test_every_step_gives_tensorrts_own_object(gpu: Installed, tmp_path: Path) -> None:
    gpu.builds.static_contexts = True
    trt, phases = gpu.trt, Phases()
    builder = phases.builder()
    network = phases.network(builder, scaled(trt))
    config = phases.config(builder)
    added = phases.add_profiles(builder, network, config, max_batch_size=8)
    plan = phases.serialize(builder, network, config)
    runtime = phases.runtime()
    engine: Any = phases.engine(runtime, plan)
    made: dict[str, Any] = {
        "ILogger": phases.logger,
        "Builder": builder,
        "INetworkDefinition": network,
        "IBuilderConfig": config,
        "IHostMemory": plan,
        "Runtime": runtime,
        "ICudaEngine": engine,
        "IExecutionContext": phases.context(engine),
    }
    for name, thing in made.items():
        assert isinstance(thing, getattr(trt, name)), name
    assert added == [Profile.parse("x:1x4/8x4/8x4")]
    assert (phases.version, phases.trt) == (trt.__version__, trt)
    path = tmp_path / "m.plan"
    path.write_bytes(memoryview(plan))  # type: ignore[arg-type]
    for source in (path, str(path)):
        again: Any = phases.engine(runtime, source)
        assert again.name == engine.name


def test_an_onnx_file_is_parsed(machine: Machine) -> None:
    phases = Phases()
    network = phases.parse(phases.builder(), str(GATHER))
    assert network.get_input(0).name == "index"
    assert network.get_input(0).get_dimension_name(0) == "N"


def test_plain_calls_can_be_mixed_with_these(machine: Machine) -> None:
    phases = Phases()
    builder: Any = phases.builder()
    network = builder.create_network(1)
    identity(machine.trt)(network)
    config = phases.config(builder, BuilderConfig(workspace=1 << 20))
    phases.add_profiles(builder, network, config, "x:1x4/2x4/4x4")
    assert phases.serialize(builder, network, config).nbytes > 0


@pytest.mark.parametrize("end", [Phases.let_go, lambda phases: None])
def test_weights_live_until_they_are_let_go_or_the_phases_end(machine: Machine, end: Any) -> None:
    import weakref

    class Holder:
        """Somebody's object with weights."""

    held: list[weakref.ref[Holder]] = []

    def define(network: Any) -> Holder:
        identity(machine.trt)(network)
        holder = Holder()
        held.append(weakref.ref(holder))
        return holder

    phases = Phases()
    phases.network(phases.builder(), define)
    assert held[0]() is not None
    end(phases)
    assert (held[0]() is None) is (end is Phases.let_go)
    del phases
    assert held[0]() is None


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_builder_that_tensorrt_cannot_make_is_an_error_with_its_words(gpu: Installed) -> None:
    gpu.builds.no_builder = True
    with pytest.raises(BuildError) as caught:
        Phases().builder()
    words(str(caught.value), gpu.trt.__version__, "no builder", "nullptr", "error: 35")


def test_the_lean_runtime_has_none() -> None:
    with doubles.install(version="lean"), pytest.raises(BackendUnavailable) as caught:
        Phases().builder()
    words(str(caught.value), "tensorrt_lean 11.4.0.106 only runs plans", "pip install")


def test_without_a_gpu_there_are_no_phases() -> None:
    with doubles.install(devices=0), pytest.raises(BackendUnavailable, match="NVIDIA GPU"):
        Phases()


def test_a_gpu_that_is_not_there_is_refused(machine: Machine) -> None:
    with pytest.raises(InvalidInput, match="no GPU 1: this machine has 1"):
        Phases(1)


def test_a_failed_build_has_tensorrts_own_line(gpu: Installed) -> None:
    gpu.builds.workspace_needed = 1 << 38
    phases = Phases()
    builder = phases.builder()
    network = phases.network(builder, identity(gpu.trt, (2, 4)))
    with pytest.raises(BuildError, match=r"created no plan .*Error Code 10.*Could not find any"):
        phases.serialize(builder, network, phases.config(builder))


def test_a_missing_profile_is_told_by_tensorrt(machine: Machine) -> None:
    phases = Phases()
    builder = phases.builder()
    network = phases.network(builder, identity(machine.trt))
    with pytest.raises(BuildError, match="no optimization profile has been defined"):
        phases.serialize(builder, network, phases.config(builder))


def test_an_old_line_is_no_reason_for_a_new_error(gpu: Installed) -> None:
    phases = Phases()
    builder = phases.builder()
    gpu.builds.workspace_needed = 1 << 38
    network = phases.network(builder, identity(gpu.trt, (2, 4)))
    config = phases.config(builder)
    with pytest.raises(BuildError, match="Could not find any"):
        phases.serialize(builder, network, config)
    gpu.builds.refuse_profiles = True
    with pytest.raises(BuildError) as caught:
        phases.add_profiles(builder, network, config, "x:2x4")
    words(str(caught.value), "profile->isValid()")
    assert "Could not find any" not in str(caught.value)


@pytest.mark.parametrize("plan", [b"", b"no plan", bytes(1000), np.zeros(10, np.uint8)])
def test_what_is_no_plan_gives_no_engine(gpu: Installed, plan: Any) -> None:
    phases = Phases()
    with pytest.raises(PlanError, match="Magic tag does not match"):
        phases.engine(phases.runtime(), plan)


def test_a_plan_of_another_version_is_refused(tmp_path: Path) -> None:
    with doubles.install(version="10.16.1.11") as gpu:
        phases = Phases()
        builder = phases.builder()
        network = phases.network(builder, identity(gpu.trt, (2, 4)))
        plan = bytes(memoryview(phases.serialize(builder, network, phases.config(builder))))  # type: ignore[arg-type]
    with doubles.install(version="11.4.0.106"):
        phases = Phases()
        with pytest.raises(PlanError, match="not compatible with this version of TensorRT"):
            phases.engine(phases.runtime(), plan)


def test_host_code_is_run_only_when_it_is_allowed(gpu: Installed) -> None:
    phases = Phases()
    builder = phases.builder()
    network = phases.network(builder, identity(gpu.trt, (2, 4)))
    config = phases.config(builder, BuilderConfig(version_compatible=True))
    plan = phases.serialize(builder, network, config)
    with pytest.raises(PlanError, match="getEngineHostCodeAllowed"):
        phases.engine(phases.runtime(), plan)
    assert phases.engine(phases.runtime(engine_host_code_allowed=True), plan).num_io_tensors == 2
