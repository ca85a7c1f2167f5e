"""What a `BuilderConfig` sets on TensorRT's own object, and what it refuses."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import doubles
from support.doubles import Installed
from tests.genuine.machines import Machine
from tests.plans.support import ELEVEN, GATHER, TEN, VERSIONS, flag, looks_up, target_of, words
from trtasync import BuilderConfig, InvalidInput, build_plan
from trtasync.plans import Phases
from trtasync.plans.cache import key_of

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)


def attribute(name: str, value: Any, owner: str = "") -> Any:
    """A look at an attribute; `owner` names the enum that the value is in."""
    return lambda trt, target: (
        getattr(target, name) == (getattr(getattr(trt, owner), value) if owner else value)
    )


def _workspace(trt: Any, target: Any) -> bool:
    return bool(target.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == 1 << 20)


def _jit_only(trt: Any, target: Any) -> bool:
    return bool(target.get_tactic_sources() == 1 << int(trt.TacticSource.JIT_CONVOLUTIONS))


LEVEL = "hardware_compatibility_level"
TILING = "tiling_optimization_level"
REACHES: dict[str, tuple[dict[str, Any], Any]] = {
    "workspace": ({"workspace": 1 << 20}, _workspace),
    "builder_optimization_level": (
        {"builder_optimization_level": 5},
        attribute("builder_optimization_level", 5),
    ),
    "tf32": ({"tf32": False}, flag("TF32", on=False)),
    "sparse_weights": ({"sparse_weights": True}, flag("SPARSE_WEIGHTS")),
    "refit": ({"refit": True}, flag("REFIT")),
    "strip_plan": ({"strip_plan": True}, flag("STRIP_PLAN")),
    "version_compatible": ({"version_compatible": True}, flag("VERSION_COMPATIBLE")),
    "exclude_lean_runtime": (
        {"version_compatible": True, "exclude_lean_runtime": True},
        flag("EXCLUDE_LEAN_RUNTIME"),
    ),
    LEVEL: (
        {LEVEL: "ampere_plus"},
        attribute(LEVEL, "AMPERE_PLUS", "HardwareCompatibilityLevel"),
    ),
    "max_aux_streams": ({"max_aux_streams": 3}, attribute("max_aux_streams", 3)),
    "tactic_sources": ({"tactic_sources": ["jit_convolutions"]}, _jit_only),
    "avg_timing_iterations": (
        {"avg_timing_iterations": 7},
        attribute("avg_timing_iterations", 7),
    ),
    "max_num_tactics": ({"max_num_tactics": 9}, attribute("max_num_tactics", 9)),
    TILING: ({TILING: "full"}, attribute(TILING, "FULL", "TilingOptimizationLevel")),
    "profiling_verbosity": (
        {"profiling_verbosity": "detailed"},
        attribute("profiling_verbosity", "DETAILED", "ProfilingVerbosity"),
    ),
    "weight_streaming": ({"weight_streaming": True}, flag("WEIGHT_STREAMING")),
    "timing_cache": ({"timing_cache": False}, flag("DISABLE_TIMING_CACHE")),
    "flags": ({"flags": ["strict_nans"]}, flag("STRICT_NANS")),
}
ONLY_TEN = {"fp16", "bf16", "int8"}
"""See test_precision.py; of compute capabilities, tests/rtx."""


def test_every_keyword_is_looked_at_here() -> None:
    names = {field.name for field in fields(BuilderConfig)}
    assert names == {*REACHES, *ONLY_TEN, "calibrator", "compute_capabilities"}


@EVERY_VERSION
@pytest.mark.parametrize("name", REACHES)
def test_a_keyword_reaches_tensorrt(version: str, name: str) -> None:
    options, holds = REACHES[name]
    with doubles.install(version=version):
        assert holds(*target_of(BuilderConfig(**options)))
        assert not holds(*target_of(None))


@EVERY_VERSION
def test_what_is_not_said_stays_as_tensorrt_has_it(version: str) -> None:
    with doubles.install(version=version):
        _, target = target_of(None)
        plain = Phases().builder().create_builder_config()
        assert plain is not None
        differing = {
            name
            for name in dir(plain)
            if not name.startswith("_")
            and not callable(getattr(plain, name))
            and getattr(plain, name) != getattr(target, name)
        }
        assert differing == {"max_aux_streams"}
        assert target.max_aux_streams == 0
        assert target.get_tactic_sources() == plain.get_tactic_sources()  # type: ignore[attr-defined]


@EVERY_VERSION
def test_aux_streams_can_be_left_to_tensorrt(version: str) -> None:
    with doubles.install(version=version):
        assert target_of(BuilderConfig(max_aux_streams=None))[1].max_aux_streams == -1


@pytest.mark.anyio
async def test_the_config_of_a_build_is_the_one_that_was_given(gpu: Installed) -> None:
    gpu.builds.workspace_needed = 1 << 20
    assert await looks_up(GATHER, builder_config=BuilderConfig(workspace=1 << 20))


# -- names and numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"flags": ["NO_SUCH"]}, ["BuilderFlag.NO_SUCH", "STRICT_NANS"]),
        ({"tactic_sources": ["NO_SUCH"]}, ["TacticSource.NO_SUCH", "JIT_CONVOLUTIONS"]),
    ],
)
@pytest.mark.anyio
async def test_an_unknown_name_is_refused_with_those_there_are(
    machine: Machine, options: dict[str, Any], wanted: list[str]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await build_plan(GATHER, builder_config=BuilderConfig(**options))
    words(str(caught.value), machine.trt.__version__, *wanted)
    assert machine.builds.started == 0


def test_a_source_that_eleven_has_dropped_is_known_to_ten() -> None:
    config = BuilderConfig(tactic_sources=["cudnn"])
    with doubles.install(version=TEN):
        assert target_of(config)[1].get_tactic_sources() == 4
    with doubles.install(version=ELEVEN), pytest.raises(InvalidInput, match=r"TacticSource\.CUDNN"):
        target_of(config)


BAD: list[tuple[str, Any]] = [
    ("workspace", 0),
    ("workspace", 1.5),
    ("workspace", "4GiB"),
    ("max_aux_streams", -1),
    ("avg_timing_iterations", 0),
    ("max_num_tactics", True),
    ("builder_optimization_level", 6),
    ("builder_optimization_level", True),
    ("hardware_compatibility_level", "AMPERE"),
    ("hardware_compatibility_level", None),
    ("profiling_verbosity", "loud"),
    ("tiling_optimization_level", "half"),
    ("flags", "STRICT_NANS"),
    ("flags", 5),
    ("flags", [5]),
    ("tactic_sources", "CUDNN"),
    ("exclude_lean_runtime", True),
    ("timing_cache", "yes"),
    ("compute_capabilities", []),
    ("compute_capabilities", "8.9"),
    ("compute_capabilities", [8.9]),
    ("compute_capabilities", ["89"]),
    ("compute_capabilities", ["8.9", "sm89"]),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_that_no_tensorrt_takes_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=name):
        BuilderConfig(**{name: value})


# -- keys -----------------------------------------------------------------------------------------

CONFIGS = st.builds(
    BuilderConfig,
    workspace=st.one_of(st.none(), st.integers(1, 1 << 40)),
    builder_optimization_level=st.one_of(st.none(), st.integers(0, 5)),
    tf32=st.booleans(),
    refit=st.booleans(),
    version_compatible=st.booleans(),
    max_aux_streams=st.integers(0, 3),
    profiling_verbosity=st.sampled_from(["detailed", "none"]),
    fp16=st.booleans(),
    timing_cache=st.booleans(),
    compute_capabilities=st.one_of(
        st.none(), st.lists(st.sampled_from(["8.9", "8.6", "12.0"]), min_size=1)
    ),
    flags=st.lists(st.sampled_from(["STRICT_NANS", "DEBUG", "FP8"]), unique=True),
)


@given(CONFIGS, CONFIGS)
def test_configs_have_the_same_facts_if_they_make_the_same_plan(
    one: BuilderConfig, other: BuilderConfig
) -> None:
    def plain(config: BuilderConfig) -> list[Any]:
        expired = ("timing_cache", "calibrator")
        return [getattr(config, f.name) for f in fields(config) if f.name not in expired]

    same_key = key_of({"config": one.facts()}) == key_of({"config": other.facts()})
    assert same_key == (plain(one) == plain(other))


@pytest.mark.parametrize("name", [*REACHES, "fp16", "bf16"])
def test_every_keyword_makes_another_key(name: str) -> None:
    options = REACHES[name][0] if name in REACHES else {name: True}
    base = {"version_compatible": True} if name == "exclude_lean_runtime" else {}
    keys = {key_of(BuilderConfig(**more).facts()) for more in (base, options)}
    assert len(keys) == (1 if name == "timing_cache" else 2)


FACTS = st.dictionaries(
    st.sampled_from(["model", "tensorrt", "gpu", "driver", "profiles"]),
    st.one_of(st.none(), st.text(), st.integers(), st.lists(st.text(), max_size=3)),
)


@given(FACTS, FACTS)
def test_a_key_differs_whenever_a_fact_does(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)
