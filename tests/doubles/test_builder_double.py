"""Every rule of the builder's double bites."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from support import doubles
from support.helpers import PATIENCE
from tests.doubles.building import VERSIONS, Kit, X, memory


@pytest.fixture(params=VERSIONS)
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    """Of each version."""
    with doubles.install(version=request.param, clean=False) as gpu:
        yield Kit(gpu)


@pytest.fixture
def old() -> Iterator[Kit]:
    """TensorRT 10.16 with a network whose types TensorRT chooses."""
    with doubles.install(version="10.16.1.11", clean=False) as gpu:
        yield Kit(gpu, strong=False)


# -- what a build refuses -------------------------------------------------------------------------


def test_a_network_needs_outputs(kit: Kit) -> None:
    kit.network.add_input("x", kit.trt.DataType.FLOAT, (1,))
    kit.refused("Network must have at least one output")


def test_a_dynamic_input_needs_a_profile(kit: Kit) -> None:
    kit.define().refused("no optimization profile has been defined")
    kit.profile(name="other").refused("x: dynamic input is missing dimensions in profile 0")


def test_a_static_dimension_stays_as_it_is(kit: Kit) -> None:
    kit.define().profile((1, 4), (2, 4), (8, 5)).refused("x: kMIN", "static dimensions [-1, 4]")


def test_a_static_network_needs_no_profile(kit: Kit) -> None:
    assert np.array_equal(kit.run(kit.define((3, 4)).build(), x=X)["y"], X + 1)


def test_a_profile_that_is_not_valid(kit: Kit) -> None:
    kit.gpu.builds.refuse_profiles = True
    assert kit.config.add_optimization_profile(kit.builder.create_optimization_profile()) == -1
    assert "addOptimizationProfile" in kit.lines[-1]


def test_too_little_workspace(kit: Kit) -> None:
    kit.define().profile()
    kit.gpu.builds.workspace_needed = 1 << 20
    assert kit.build() is not None
    kit.config.set_memory_pool_limit(kit.trt.MemoryPoolType.WORKSPACE, 1 << 19)
    kit.refused("Could not find any implementation")


def test_defaults_of_a_config(kit: Kit) -> None:
    config, flags = kit.config, kit.trt.BuilderFlag
    assert config.get_flag(flags.TF32)
    assert config.flags == 1 << int(flags.TF32)
    config.clear_flag(flags.TF32)
    assert config.flags == 0
    assert (config.builder_optimization_level, config.max_aux_streams) == (3, -1)
    sources = kit.trt.TacticSource
    assert config.set_tactic_sources(1 << int(sources.JIT_CONVOLUTIONS))
    assert config.get_tactic_sources() == 1 << int(sources.JIT_CONVOLUTIONS)


# -- progress -------------------------------------------------------------------------------------


def monitor(kit: Kit, step: Callable[[str, int], bool] = lambda name, number: True) -> list[Any]:
    """Sets a progress monitor; returns what it is told."""
    trt, told = kit.trt, list[Any]()

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]  # as `Log`
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            told.append(("start", phase_name, parent_phase, num_steps))

        def step_complete(self, phase_name: str, step_: int) -> bool:
            told.append(("step", phase_name, step_))
            return step(phase_name, step_)

        def phase_finish(self, phase_name: str) -> None:
            told.append(("finish", phase_name))

    kit.config.progress_monitor = Monitor()
    return told


def test_a_monitor_is_told_nested_phases_by_several_threads(kit: Kit) -> None:
    told = monitor(kit)
    assert kit.define().profile().build() is not None
    starts = {name: (parent, steps) for kind, name, parent, steps in only(told, "start")}
    (top,) = (name for name, (parent, _) in starts.items() if parent is None)
    assert {parent for parent, _ in starts.values()} == {None, top}
    assert {name for _, name in only(told, "finish")} == set(starts)
    for name, (_, steps) in starts.items():
        assert [number for _, each, number in only(told, "step") if each == name] == [*range(steps)]
    assert len(kit.gpu.builds.threads) == 3


def only(told: list[Any], kind: str) -> list[Any]:
    return [news for news in told if news[0] == kind]


def test_a_monitor_stops_the_build(kit: Kit) -> None:
    told = monitor(kit, lambda name, number: not (name.startswith("Timing") and number == 1))
    kit.define().profile().refused("Error Code 7: BuildCanceled")
    assert len(only(told, "finish")) == len(only(told, "start"))
    assert told[-1][0] == "finish"
    assert kit.gpu.builds.failed == 1
    assert kit.gpu.violations == []


def test_a_monitor_must_not_raise(kit: Kit) -> None:
    def fail(name: str, number: int) -> bool:
        raise KeyboardInterrupt

    monitor(kit, fail)
    assert kit.define().profile().build() is None
    assert "terminate: the progress monitor's step_complete raised" in kit.gpu.violations[0]


def test_the_gate_holds_a_build(kit: Kit) -> None:
    kit.define().profile()
    gate, plans = kit.gpu.builds.gate, list[Any]()
    with gate.held():
        thread = threading.Thread(target=lambda: plans.append(kit.build()))
        thread.start()
        gate.wait_for_build()
        assert gate.passed == 0
        gate.let(5)  # the outermost phase's first, three of the graph's, its second
        gate.wait_for_build(threads=2)
        assert gate.passed == 5
        assert plans == []
    thread.join(PATIENCE)
    assert plans[0] is not None


def test_two_threads_in_one_builder_are_noted(kit: Kit) -> None:
    kit.define().profile()
    with kit.gpu.builds.gate.held():
        thread = threading.Thread(target=kit.build)
        thread.start()
        kit.gpu.builds.gate.wait_for_build()
        assert kit.build() is None
    thread.join(PATIENCE)
    assert kit.gpu.violations == ["two threads at once in one builder"]


# -- timing caches --------------------------------------------------------------------------------


def test_a_timing_cache_saves_measuring(kit: Kit) -> None:
    builds = kit.gpu.builds
    cache = kit.config.create_timing_cache(b"")
    assert kit.config.get_timing_cache() is None
    assert kit.config.set_timing_cache(cache, False)
    assert kit.define().profile().build() is not None
    assert (builds.tactics_timed, builds.tactics_found) == (2, 0)
    assert len(cache.queryKeys()) == 2
    again = kit.config.create_timing_cache(bytes(cache.serialize()))
    assert kit.config.set_timing_cache(again, False)
    assert kit.build() is not None
    assert (builds.tactics_timed, builds.tactics_found) == (2, 2)
    kit.config.builder_optimization_level = 0
    assert kit.build() is not None
    assert (builds.tactics_timed, builds.tactics_found) == (4, 2)


def test_of_a_broken_timing_cache_nothing_is_known(kit: Kit) -> None:
    cache = kit.config.create_timing_cache(b"")
    assert kit.config.set_timing_cache(cache, False)
    assert kit.define().profile().build() is not None
    whole = bytes(cache.serialize())
    for broken in (b"garbage", whole[:-1], whole[:20] + b"!" + whole[21:]):
        assert kit.config.create_timing_cache(broken).queryKeys() == []
        assert kit.lines[-1].startswith("WARNING Failed to deserialize timing cache.")


def test_a_timing_cache_of_another_device_is_refused(kit: Kit) -> None:
    kit.gpu.world.gpu = "NVIDIA L4"
    other = kit.builder.create_builder_config().create_timing_cache(b"")
    other._entries["key"] = 1.0
    mine = kit.config.create_timing_cache(b"")
    assert not kit.config.set_timing_cache(other, False)
    assert not mine.combine(other, False)
    assert mine.combine(other, True)
    assert kit.config.set_timing_cache(other, True)
    assert mine.queryKeys() == ["key"]


def test_a_timing_cache_of_another_version_is_refused() -> None:
    caches = []
    for version in VERSIONS:
        with doubles.install(version=version, clean=False) as gpu:
            kit = Kit(gpu)
            caches.append(kit.config.create_timing_cache(b""))
    assert not kit.config.set_timing_cache(caches[0], True)
    assert not caches[1].combine(caches[0], True)


# -- TensorRT 10 ----------------------------------------------------------------------------------


def test_precision_flags_are_for_weakly_typed_networks(old: Kit) -> None:
    flags = old.trt.BuilderFlag
    old.config.set_flag(flags.FP16)
    assert np.array_equal(old.run(old.define().profile().build(), x=X)["y"], X + 1)
    strong = Kit(old.gpu).define().profile()
    strong.config.set_flag(flags.FP16)
    strong.refused("kFP16 cannot be set on a strongly typed network")


def test_int8_without_a_calibrator_only_warns(old: Kit) -> None:
    old.config.set_flag(old.trt.BuilderFlag.INT8)
    assert old.define().profile().build() is not None
    assert old.lines[0].startswith("WARNING Calibrator is not being used")


def test_a_calibrator_is_asked_for_batches(old: Kit) -> None:
    trt, written = old.trt, list[bytes]()

    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc, name-defined]  # as `Log`
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)
            self.left = 3

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: list[str]) -> list[int] | None:
            assert names == ["x"]
            self.left -= 1
            return [memory(16)] if self.left >= 0 else None

        def read_calibration_cache(self) -> None: ...

        def write_calibration_cache(self, cache: bytes) -> None:
            written.append(cache)

    with pytest.raises(TypeError):
        old.config.int8_calibrator = object()
    old.config.int8_calibrator = Calibrator()
    old.config.set_flag(trt.BuilderFlag.INT8)
    assert old.define().profile().build() is not None
    assert old.gpu.builds.calibrated == 3
    assert written
    assert "Calibration Profile is not defined" in old.lines[0]


def test_what_the_gpu_is_fast_in(old: Kit) -> None:
    old.gpu.builds.fast_int8 = False
    assert old.builder.platform_has_fast_fp16
    assert not old.builder.platform_has_fast_int8


def test_what_11_has_no_more() -> None:
    eleven, ten = (doubles.surface(version) for version in reversed(VERSIONS))
    for owner, name in (
        ("BuilderFlag", "FP16"),
        ("IBuilderConfig", "int8_calibrator"),
        ("IBuilderConfig", "set_calibration_profile"),
        ("Builder", "platform_has_fast_fp16"),
        ("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH"),
        ("TacticSource", "CUDNN"),
    ):
        assert hasattr(getattr(ten, owner), name)
        assert not hasattr(getattr(eleven, owner), name)
    assert not hasattr(eleven, "IInt8EntropyCalibrator2")
    assert eleven.Builder._version in eleven.__version__
    assert ten.Builder._version in ten.__version__
