"""Types: from the network alone, or chosen by TensorRT 10 where it is asked to."""

from typing import Any

import pytest

from support import doubles
from tests.genuine.machines import Machine
from tests.plans.support import (
    ELEVEN,
    GATHER,
    TEN,
    VERSIONS,
    flag,
    identity,
    looks_up,
    target_of,
    words,
)
from trtasync import BuilderConfig, InvalidInput, build_plan
from trtasync.plans import Phases

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)
ONLY_TEN: dict[str, Any] = {"fp16": flag("FP16"), "bf16": flag("BF16"), "int8": flag("INT8")}


def calibrator_of(trt: Any) -> Any:
    """Three batches of calibration, on TensorRT 10."""

    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)
            self.left = 3
            self.kept = b""

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: list[str]) -> list[int] | None:
            self.left -= 1
            return [256] * len(names) if self.left >= 0 else None

        def read_calibration_cache(self) -> bytes | None:
            return None

        def write_calibration_cache(self, cache: bytes) -> None:
            self.kept = cache

    return Calibrator()


@pytest.mark.parametrize("name", ["fp16", "bf16"])
@pytest.mark.anyio
async def test_weak_types_are_refused_on_eleven_with_the_way_out(name: str) -> None:
    with doubles.install(version=ELEVEN) as gpu:
        with pytest.raises(InvalidInput) as caught:
            await build_plan(GATHER, builder_config=BuilderConfig(**{name: True}))  # type: ignore[arg-type]  # by name
        assert gpu.builds.started == 0
    words(str(caught.value), ELEVEN, f"BuilderFlag.{name.upper()}", "modelopt", "Q/DQ", "add_cast")


@pytest.mark.anyio
async def test_int8_is_refused_on_eleven_with_the_way_out() -> None:
    config = BuilderConfig(int8=True, calibrator=object())
    with doubles.install(version=ELEVEN), pytest.raises(InvalidInput) as caught:
        await build_plan(GATHER, builder_config=config, cache_key="calibrated")
    words(str(caught.value), "BuilderFlag.INT8", "modelopt.onnx.quantization", "Q/DQ")


@pytest.mark.parametrize("name", ONLY_TEN)
def test_weak_types_reach_ten(name: str) -> None:
    with doubles.install(version=TEN) as gpu:
        more = {"calibrator": calibrator_of(gpu.trt)} if name == "int8" else {}
        config = BuilderConfig(**{name: True}, **more)  # type: ignore[arg-type]  # by name
        assert ONLY_TEN[name](*target_of(config))
        assert not ONLY_TEN[name](*target_of(None))


@pytest.mark.parametrize(
    "options", [{"fp16": True}, {"bf16": True}, {"flags": ["FP8"]}], ids=lambda each: str(each)
)
@pytest.mark.anyio
async def test_with_weak_types_the_network_is_weakly_typed_and_builds(
    options: dict[str, Any],
) -> None:
    with doubles.install(version=TEN):
        assert await looks_up(GATHER, builder_config=BuilderConfig(**options))


@EVERY_VERSION
@pytest.mark.anyio
async def test_a_network_is_strongly_typed_by_default(version: str, tmp_path: Any) -> None:
    flags: list[int] = []
    with doubles.install(version=version) as gpu:

        def define(network: Any) -> None:
            flags.append(network.flags)
            identity(gpu.trt)(network)

        await build_plan(define, output=tmp_path / "m.plan")
        strong = 1 << int(gpu.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        if version == TEN:
            await build_plan(
                define, output=tmp_path / "m.plan", builder_config=BuilderConfig(fp16=True)
            )
    assert flags == [strong] if version == ELEVEN else [strong, 0]


def test_int8_without_ranges_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"int8=True needs a calibrator.*Q/DQ"):
        BuilderConfig(int8=True)


@pytest.mark.parametrize(
    ("flag", "keyword"), [("int8", "int8=True"), ("TF32", "tf32"), ("refit", "refit=True")]
)
def test_a_flag_that_has_a_keyword_is_given_by_it(flag: str, keyword: str) -> None:
    with pytest.raises(InvalidInput, match=f"{flag.upper()} has its own keyword; use {keyword}"):
        BuilderConfig(flags=[flag])


@pytest.mark.anyio
async def test_a_calibrator_calibrates_on_the_first_profile(tmp_path: Any) -> None:
    with doubles.install(version=TEN) as gpu:
        calibrator = calibrator_of(gpu.trt)
        config = BuilderConfig(int8=True, calibrator=calibrator)
        plan = await build_plan(
            GATHER,
            builder_config=config,
            output=tmp_path / "m.plan",
            profiles=["index:1/2/4", "index:5/6/8"],
        )
        assert gpu.builds.calibrated == 3
        assert calibrator.kept
        assert (plan.key, plan.cached) == ("", False)  # nobody can look into a calibrator


def test_the_calibration_profile_is_the_first_one() -> None:
    with doubles.install(version=TEN) as gpu:
        phases = Phases()
        builder = phases.builder()
        config = BuilderConfig(int8=True, calibrator=calibrator_of(gpu.trt))
        target: Any = phases.config(builder, config)
        network = phases.parse(builder, GATHER, strongly_typed=False)
        phases.add_profiles(builder, network, target, ["index:1/2/4", "index:5/6/8"])
        assert target.int8_calibrator is config.calibrator
        assert target.get_calibration_profile().get_shape("index") == [(1,), (2,), (4,)]


@pytest.mark.anyio
async def test_a_calibrator_without_int8_is_refused(machine: Machine) -> None:
    config = BuilderConfig(calibrator=object())
    with pytest.raises(InvalidInput, match="calibrator requires int8=True"):
        await build_plan(GATHER, builder_config=config, cache_key="x")


@pytest.mark.parametrize("slow", ["fp16", "int8"])
@pytest.mark.anyio
async def test_what_the_gpu_is_not_fast_in_is_refused(slow: str) -> None:
    with doubles.install(version=TEN) as gpu:
        setattr(gpu.builds, f"fast_{slow}", False)
        more = {"calibrator": calibrator_of(gpu.trt)} if slow == "int8" else {}
        config = BuilderConfig(**{slow: True}, **more)  # type: ignore[arg-type]  # by name
        with pytest.raises(InvalidInput, match=f"not fast in {slow}"):
            await build_plan(GATHER, builder_config=config, cache_key="x")
        assert gpu.builds.started == 0
