"""Every rule for the plans that the builder's double makes bites."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support import doubles
from support.doubles import Installed, child, trt_builds
from tests.doubles.building import VERSIONS, Kit, X
from tests.doubles.calling import CUDA, ok


@pytest.fixture(params=VERSIONS)
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    """Of each version."""
    with doubles.install(version=request.param, clean=False) as gpu:
        yield Kit(gpu)


def test_a_plan_that_is_not_whole_is_refused(kit: Kit) -> None:
    plan = bytes(kit.define().profile().build())
    for index in range(0, len(plan), max(1, len(plan) // 50)):
        spoiled = bytearray(plan)
        spoiled[index] ^= 1
        assert kit.engine(spoiled) is None
        assert kit.engine(plan[:index] or b"x") is None
    assert "Magic tag does not match" in kit.lines[-1]
    assert kit.engine(plan) is not None


def test_a_plan_of_another_version_is_refused() -> None:
    with doubles.install(version=VERSIONS[0], clean=False) as gpu:
        plan = Kit(gpu).define().profile().build()
    with doubles.install(version=VERSIONS[1], clean=False) as gpu:
        kit = Kit(gpu)
        assert kit.engine(plan) is None
        assert "expecting library version 11.4.0 got 10.16.1" in kit.lines[-1]


def test_a_plan_of_another_gpu(kit: Kit) -> None:
    plan = kit.define().profile().build()
    kit.config.hardware_compatibility_level = kit.trt.HardwareCompatibilityLevel.AMPERE_PLUS
    compatible = kit.build()
    kit.gpu.world.gpu = "NVIDIA GH200"
    assert kit.engine(plan) is not None
    assert "WARNING Using an engine plan file across different models" in kit.lines[-1]
    kit.gpu.world.capability = (8, 9)
    assert kit.engine(plan) is None
    assert "expecting compute 8.9 got compute 9.0" in kit.lines[-1]
    engine = kit.engine(compatible)
    assert engine.hardware_compatibility_level.name == "AMPERE_PLUS"
    kit.gpu.world.capability = (7, 5)
    assert kit.engine(compatible) is None


def test_a_version_compatible_plan_wants_to_be_trusted(kit: Kit) -> None:
    kit.config.set_flag(kit.trt.BuilderFlag.VERSION_COMPATIBLE)
    plan = kit.define().profile().build()
    assert kit.engine(plan) is None
    assert "getEngineHostCodeAllowed" in kit.lines[-1]
    runtime = kit.trt.Runtime(kit.logger)
    runtime.engine_host_code_allowed = True
    assert runtime.deserialize_cuda_engine(plan) is not None
    kit.config.set_flag(kit.trt.BuilderFlag.EXCLUDE_LEAN_RUNTIME)
    assert kit.engine(kit.build()) is not None


def test_the_lean_runtime_runs_version_compatible_plans_only() -> None:
    with doubles.install(clean=False) as gpu:
        kit = Kit(gpu).define().profile()
        plain = kit.build()
        kit.config.set_flag(gpu.trt.BuilderFlag.VERSION_COMPATIBLE)
        compatible = kit.build()
    with doubles.install(version="lean", clean=False) as gpu:
        ok(CUDA.cudaSetDevice(0))
        runtime = gpu.trt.Runtime(kit.logger)
        runtime.engine_host_code_allowed = True
        assert runtime.deserialize_cuda_engine(plain) is None
        assert "lean runtime" in kit.lines[-1]
        engine = runtime.deserialize_cuda_engine(compatible)
        assert not hasattr(engine, "create_engine_inspector")
        assert not hasattr(gpu.trt, "Builder")
        with pytest.raises(ImportError):
            __import__("tensorrt")
        assert __import__("tensorrt_lean") is gpu.trt


def test_what_an_engine_says_of_its_build(kit: Kit) -> None:
    flags = kit.trt.BuilderFlag
    engine = kit.engine(kit.define().profile().build())
    assert (engine.num_layers, engine.refittable, engine.streamable_weights_size) == (2, False, 0)
    assert engine.profiling_verbosity.name == "LAYER_NAMES_ONLY"
    assert engine.hardware_compatibility_level.name == "NONE"
    kit.config.set_flag(flags.REFIT)
    kit.config.set_flag(flags.WEIGHT_STREAMING)
    engine = kit.engine(kit.build())
    assert engine.refittable
    assert engine.streamable_weights_size > 0


def test_the_inspector_tells_what_the_plan_has_kept(kit: Kit) -> None:
    kit.define().profile()
    told = {}
    for verbosity in kit.trt.ProfilingVerbosity.__members__.values():
        kit.config.profiling_verbosity = verbosity
        inspector = kit.engine(kit.build()).create_engine_inspector()
        text = inspector.get_engine_information(kit.trt.LayerInformationFormat.JSON)
        told[verbosity.name] = json.loads(text)
    assert told["NONE"]["Layers"] == []
    assert all(isinstance(layer, str) for layer in told["LAYER_NAMES_ONLY"]["Layers"])
    assert told["DETAILED"]["Layers"][1]["LayerType"] == "Elementwise"
    old = kit.trt.__version__.startswith("10.")
    assert told["DETAILED"]["Bindings" if old else "I/O Tensors"] == ["x", "y"]


# -- among processes ------------------------------------------------------------------------------


def build_to(path: str) -> int:
    """Called in a child process."""
    kit = Kit(Installed(doubles.world.current(), doubles.tensorrt, trt_builds.current()))
    data = bytes(kit.define().profile().build())
    Path(path).write_bytes(data)
    return len(data)


def test_a_plan_of_another_process_runs_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, path = tmp_path / "log", tmp_path / "built.plan"
    monkeypatch.setenv(trt_builds.LOG_VARIABLE, str(log))
    command = child.command("tests.doubles.test_plan_double:build_to", path)
    done = subprocess.run(
        command, cwd=child.ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == path.stat().st_size
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["start", "end"]
    with doubles.install(clean=False) as gpu:
        assert np.array_equal(Kit(gpu).run(path.read_bytes(), x=X)["y"], X + 1)
