"""What a cold review found: things that would surprise whoever serves real traffic."""

import os
import re
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save_model

from support import doubles
from support.doubles import Installed
from support.helpers import same
from tests.genuine.machines import Machine
from tests.plans.support import ELEVEN, GATHER, TABLE, TEN, matrix, words, write_matmul
from trtasync import (
    BackendUnavailable,
    BuilderConfig,
    BuildError,
    BuildProgress,
    CudaError,
    Engine,
    InvalidInput,
    PlanError,
    Profile,
    build_plan,
    open_engine,
)
from trtasync.inspection import inspect_onnx, inspect_plan
from trtasync.plans import Phases
from trtasync.plans.cache import PlanCache
from trtasync.plans.onnx_files import read_onnx
from trtasync.runtimes.cuda import find_device
from trtasync.runtimes.tensorrt.library import library
from trtasync.system.stopping import Stop

pytestmark = pytest.mark.anyio

WEIGHT = matrix(4, 3)


async def answers(engine: Engine) -> None:
    """It is the right model."""
    assert same(await engine.infer(np.array(3)), TABLE[3])


# -- weights --------------------------------------------------------------------------------------


def _with_a_function(path: Path, weight: Any) -> Path:
    """A model whose weights lie in a local function, outside of the file."""
    value = numpy_helper.from_array(weight, "w")
    constant = helper.make_node("Constant", [], ["w"], value=value)
    body = [constant, helper.make_node("MatMul", ["x", "w"], ["y"])]
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "f", ["x"], ["y"], body, opsets)
    graph = helper.make_graph(
        [helper.make_node("f", ["x"], ["y"], domain="own")],
        "functions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", len(weight)])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", weight.shape[1]])],
    )
    more = {"opset_imports": [*opsets, helper.make_opsetid("own", 1)], "functions": [function]}
    model = helper.make_model(graph, ir_version=9, **more)
    outside = {"save_as_external_data": True, "size_threshold": 0, "convert_attribute": True}
    save_model(model, str(path), location="f.w", **outside)
    return path


def test_weights_within_functions_count(tmp_path: Path) -> None:
    model = _with_a_function(tmp_path / "m.onnx", WEIGHT)
    before = read_onnx(model, hashing=True)
    digest = before.digest()
    assert [path.name for path in before.external] == ["f.w"]
    assert before.weight_bytes() == WEIGHT.nbytes
    (tmp_path / "f.w").write_bytes(bytes(WEIGHT.nbytes))
    assert read_onnx(model, hashing=True).digest() != digest


async def test_weights_that_change_while_they_are_built_are_not_kept(
    gpu: Installed, tmp_path: Path
) -> None:
    model = write_matmul(tmp_path / "m.onnx", WEIGHT, external="m.w")

    def change(news: BuildProgress) -> None:
        (tmp_path / "m.w").write_bytes(bytes(WEIGHT.nbytes))

    with pytest.raises(BuildError, match=r"m\.w changed while the plan was built"):
        await build_plan(model, cache=tmp_path / "cache", progress=change)
    assert not list((tmp_path / "cache").rglob("*.plan"))


# -- plans that cannot be used --------------------------------------------------------------------


async def test_a_plan_that_cannot_be_batched_is_not_built_again_and_again(
    gpu: Installed, tmp_path: Path
) -> None:
    names = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [n, 3]) for n in ("a", "b")]
    outs = [helper.make_tensor_value_info(f"{n}2", TensorProto.FLOAT, [n, 3]) for n in ("a", "b")]
    nodes = [helper.make_node("Relu", [n], [f"{n}2"]) for n in ("a", "b")]
    path = tmp_path / "two.onnx"
    save_model(helper.make_model(helper.make_graph(nodes, "two", names, outs)), str(path))
    inputs = {"a": np.ones((3, 3), np.float32), "b": -np.ones((8, 3), np.float32)}
    for _ in range(3):
        async with open_engine(path, profiles="a:1x3/2x3/4x3,b:1x3/2x3/8x3") as engine:
            answer = await engine.infer(inputs)
            assert {name: array.shape for name, array in answer.items()} == {
                "a2": (3, 3),
                "b2": (8, 3),
            }
    assert gpu.builds.started == 1


async def test_a_full_gpu_does_not_cost_a_plan(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await build_plan(GATHER)
    good = plan.path.read_bytes()
    monkeypatch.setattr(machine.trt.Runtime, "deserialize_cuda_engine", lambda *_: None)
    monkeypatch.setattr("trtasync.runtimes.cuda.device.Device.free_bytes", lambda _: 0)
    with pytest.raises(CudaError, match="does not fit"):
        async with open_engine(GATHER):
            pass
    assert machine.builds.started == 1
    assert plan.path.read_bytes() == good


async def test_gpus_of_several_kinds_are_refused_before_a_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with doubles.install(devices=2) as gpu:

        def find(index: int) -> Any:
            device = find_device(index)
            device.name = f"GPU kind {index}"
            return device

        monkeypatch.setattr("trtasync.runtimes.cuda.find_device", find)
        with pytest.raises(InvalidInput, match="are of different kinds"):
            async with open_engine(GATHER, devices=[0, 1]):
                pass
        assert gpu.builds.started == 0


@pytest.mark.parametrize(
    "config",
    [BuilderConfig(strip_plan=True), BuilderConfig(int8=True, calibrator=object())],
    ids=["stripped", "calibrated"],
)
async def test_what_open_engine_cannot_build_is_refused(
    machine: Machine, config: BuilderConfig
) -> None:
    with pytest.raises(InvalidInput, match=r"build it with build_plan\(output=\.\.\.\)"):
        async with open_engine(GATHER, builder_config=config):
            pass
    assert machine.builds.started == 0


async def test_code_that_others_can_write_is_not_trusted(gpu: Installed, tmp_path: Path) -> None:
    config = BuilderConfig(version_compatible=True)
    cache = tmp_path / "shared"
    options: dict[str, Any] = {"builder_config": config, "cache": cache}
    for _ in range(2):  # built, then found in a folder of our own
        async with open_engine(GATHER, **options) as engine:
            await answers(engine)
    cache.chmod(0o777)
    for allowed in (False, True):
        with pytest.raises(PlanError, match="can be written by others"):
            async with open_engine(GATHER, engine_host_code_allowed=allowed, **options):
                pass
    cache.chmod(0o700)
    async with open_engine(GATHER, **options) as engine:
        await answers(engine)
    assert gpu.builds.started == 1


async def test_a_slower_worker_takes_what_a_faster_one_has_built_anew(
    machine: Machine, tmp_path: Path
) -> None:
    from trtasync.plans.job import Job
    from trtasync.plans.plan import make_order

    order = make_order(GATHER, cache=tmp_path / "cache")
    job = Job(order, Stop())
    first = job.run()
    assert not job.run(useless=first.checksum).cached  # both have found the first one useless
    built = machine.builds.started
    assert PlanCache(tmp_path / "cache").find(first.key) is not None
    assert job.run(useless="of the plan before").cached
    assert machine.builds.started == built == 2


# -- conflicts that are found before the build ----------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words_"),
    [
        ({"max_batch_size": 64, "profiles": "index:1/2/4"}, "allow batches of at most 4"),
        ({"batch_sizes": [1, 2], "max_batch_size": 64}, r"batch_sizes=\[1, 2\] must be"),
    ],
)
async def test_sizes_that_cannot_go_together_cost_no_build(
    machine: Machine, options: dict[str, Any], words_: str
) -> None:
    with pytest.raises(InvalidInput, match=words_):
        async with open_engine(GATHER, **options):
            pass
    assert machine.builds.started == 0


async def test_equal_wishes_are_one_build(machine: Machine, tmp_path: Path) -> None:
    pair = GATHER.with_name("digits_pair.onnx")
    one, other = "left:1x64/8x64/8x64", "right:1x64/8x64/8x64"
    keys = {
        (await build_plan(pair, cache=tmp_path, profiles=profiles, max_batch_size=size)).key
        for profiles, size in ((f"{one},{other}", None), (f"{other},{one}", None))
    }
    assert len(keys) == 1
    same = {(await build_plan(GATHER, cache=tmp_path, max_batch_size=n)).key for n in (None, 32)}
    assert len(same) == 1


# -- outputs --------------------------------------------------------------------------------------


async def test_the_model_is_not_overwritten(machine: Machine, tmp_path: Path) -> None:
    model = write_matmul(tmp_path / "m.onnx", WEIGHT)
    content = model.read_bytes()
    link = tmp_path / "link.plan"
    link.symlink_to(model)
    for output in (model, link):
        with pytest.raises(BuildError, match="is the model itself"):
            await build_plan(model, output=output)
    assert model.read_bytes() == content


async def test_what_is_no_file_is_not_replaced(machine: Machine, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(BuildError, match="is not a regular file"):
        await build_plan(GATHER, output=fifo)
    assert fifo.is_fifo()


async def test_a_link_is_followed(machine: Machine, tmp_path: Path) -> None:
    target, link = tmp_path / "real.plan", tmp_path / "link.plan"
    target.write_bytes(b"old")
    link.symlink_to(target)
    plan = await build_plan(GATHER, output=link)
    assert link.is_symlink()
    assert target.read_bytes() == plan.path.read_bytes() != b"old"


# -- places ---------------------------------------------------------------------------------------


async def test_a_user_without_a_home_is_told_what_to_do(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless(*_: Any, **__: Any) -> None:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("TRTASYNC_CACHE_DIR")
    monkeypatch.setattr("platformdirs.user_cache_path", homeless)
    with pytest.raises(InvalidInput, match="TRTASYNC_CACHE_DIR"):
        await build_plan(GATHER)


async def test_a_cache_folder_of_nobodys_is_told_by_its_name(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", "~who-is-that/cache")
    with pytest.raises(InvalidInput, match=r"TRTASYNC_CACHE_DIR cannot be '~who-is-that/cache'"):
        await build_plan(GATHER)


async def test_no_place_for_a_plan_that_is_not_kept_is_an_error(
    gpu: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr("tempfile.TemporaryDirectory", nowhere)
    async with open_engine(GATHER) as engine:  # in the cache: none is needed
        await answers(engine)
    with pytest.raises(BuildError, match="TMPDIR"):
        async with open_engine(GATHER, cache=False):
            pass


# -- odd input ------------------------------------------------------------------------------------


async def _coroutine(news: BuildProgress) -> None:
    raise AssertionError


def shown(value: object) -> str:
    """The name of a test, which is the same in every process."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize(
    "options",
    [
        {"device": None},
        {"output": "a\0b"},
        {"output": "~who-is-that/m.plan"},
        {"cache": ""},
        {"cache": b"bytes"},
        {"cache": "~who-is-that/cache"},
        {"cache_key": ""},
        {"cache_key": "\ud800"},
        {"progress": _coroutine},
        {"profiles": b"x:1"},
        {"profiles": [None]},
    ],
    ids=shown,
)
async def test_odd_arguments_are_refused(machine: Machine, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await build_plan(GATHER, **options)
    assert machine.builds.started == 0


@pytest.mark.parametrize("source", ["a\0b.onnx", "", _coroutine, 5], ids=shown)
async def test_odd_sources_are_refused(machine: Machine, source: Any) -> None:
    with pytest.raises(InvalidInput):
        await build_plan(source)


async def test_a_name_that_is_too_long_is_refused_before_the_build(
    machine: Machine, tmp_path: Path
) -> None:
    with pytest.raises(BuildError, match="cannot be written"):
        await build_plan(GATHER, output=tmp_path / ("x" * 300))
    assert machine.builds.started == 0


@pytest.mark.parametrize(
    "options",
    [
        {"workspace": 2**70},
        {"max_aux_streams": 2**40},
        {"tf32": "false"},
        {"profiling_verbosity": np.array(["none"])},
    ],
    ids=shown,
)
def test_odd_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        BuilderConfig(**options)


@pytest.mark.parametrize("device", [-1, "0", True, 1])
def test_odd_devices_are_refused(device: Any) -> None:
    with doubles.install(), pytest.raises(InvalidInput, match="GPU"):
        Phases(device)


async def test_phases_take_what_build_plan_gives() -> None:
    with doubles.install():
        phases = Phases()
        engine = phases.engine(phases.runtime(), await build_plan(GATHER))
        assert engine.num_io_tensors == 2
        with pytest.raises(InvalidInput, match="BuilderConfig"):
            phases.config(phases.builder(), {})  # type: ignore[arg-type]
        del engine


def test_profiles_can_be_hashed() -> None:
    assert len({Profile.parse("x:1,y:2"), Profile.parse("y:2,x:1")}) == 1


async def test_bf16_needs_a_gpu_that_has_it() -> None:
    with doubles.install(version=TEN, capability=(7, 5)) as gpu:
        with pytest.raises(InvalidInput, match="not fast in bf16"):
            await build_plan(GATHER, builder_config=BuilderConfig(bf16=True))
        assert gpu.builds.started == 0


async def test_what_a_version_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with doubles.install(version=TEN) as gpu:
        monkeypatch.delattr(gpu.trt, "TilingOptimizationLevel")
        with pytest.raises(InvalidInput, match="has no tiling_optimization_level"):
            await build_plan(GATHER, builder_config=BuilderConfig(tiling_optimization_level="fast"))


# -- reports --------------------------------------------------------------------------------------


async def test_reports_refuse_impossible_numbers(machine: Machine) -> None:
    plan = await build_plan(GATHER)
    for options in ({"streams": 0}, {"max_batch_size": -3}, {"batch_sizes": [0]}):
        with pytest.raises(InvalidInput, match="1 or more"):
            inspect_plan(plan, **options)
    with pytest.raises(InvalidInput, match="must be max_batch_size=4"):
        inspect_plan(plan, max_batch_size=4, batch_sizes=[8])
    with pytest.raises(InvalidInput, match="1 or more"):
        inspect_onnx(GATHER, max_batch_size=0)


def test_a_negative_dimension_is_dynamic(tmp_path: Path) -> None:
    path = write_matmul(tmp_path / "m.onnx", WEIGHT, batch=-1)
    report = inspect_onnx(path)
    assert report.inputs[0].shape == (None, len(WEIGHT))
    assert report.batched


def test_suggested_profiles_can_be_read(tmp_path: Path) -> None:
    from trtasync.plans.resolve import NetworkInput, complete

    with pytest.raises(InvalidInput) as caught:
        complete([NetworkInput("in:0", ("N", 3, "W"), batch_axis=0)], [], None)
    text = str(caught.value).partition("--profile ")[2].partition(" or ")[0]
    assert Profile.parse(text).shapes.keys() == {"in:0"}
    words(str(caught.value), "axis 2", "W")


# -- one library ----------------------------------------------------------------------------------


def test_threads_that_come_at_once_get_one_library() -> None:
    unknown = ModuleType("tensorrt")  # to forget a known one would give it a second logger
    vars(unknown).update(vars(doubles.surface(ELEVEN)))
    with doubles.install(version=ELEVEN), patch.dict(sys.modules, {"tensorrt": unknown}):
        gate = threading.Barrier(4)
        found: list[Any] = []

        def ask() -> None:
            gate.wait()
            found.append(library())

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({id(each) for each in found}) == 1
    assert found[0].trt is unknown


def test_the_lean_runtime_is_named_when_a_builder_is_asked_for() -> None:
    with (
        doubles.install(version="lean"),
        pytest.raises(BackendUnavailable, match="only runs plans"),
    ):
        Phases().builder()
