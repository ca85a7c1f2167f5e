"""What an engine says of a plan, and which plans are refused, in which words."""

import logging
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from support import doubles
from support.doubles import models
from support.helpers import MODELS, row, rows, same
from tests.tensorrt.support import double, engine_on, lines, tensor, write
from trtasync import BackendUnavailable, CudaError, InvalidInput, PlanError, open_engine
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt import TensorRTOptions, load

pytestmark = pytest.mark.anyio


def refused(folder: Path, model: models.Model) -> str:
    """The words with which a plan is refused when it is loaded."""
    path = write(folder, model)
    with doubles.install(), pytest.raises(PlanError) as caught:
        load(PlanFile(path), TensorRTOptions(padding={}))
    return str(caught.value)


async def refused_open(path: Path, **options: Any) -> str:
    """The words with which opening is refused; `PlanError`s only."""
    with pytest.raises(PlanError) as caught:
        async with open_engine(path, **options):
            pass
    return str(caught.value)


# -- specs ----------------------------------------------------------------------------------------


async def test_names_shapes_and_dynamic_axes(tmp_path: Path) -> None:
    async with engine_on(tmp_path, lines()) as (engine, _):
        (x,), (y,) = engine.inputs, engine.outputs
        assert (x.name, x.shape, x.host) == ("x", (None, None), False)
        assert (y.name, y.shape, y.dtype) == ("y", (None, None), np.dtype(np.float32))


@pytest.mark.parametrize(
    "dtype",
    [
        np.float32,
        np.float16,
        np.int8,
        np.int32,
        np.int64,
        np.uint8,
        np.bool_,
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e4m3fn,
    ],
)
@pytest.mark.parametrize("graphs", [True, False])
async def test_every_dtype_comes_back_bit_by_bit(tmp_path: Path, dtype: Any, graphs: bool) -> None:
    ranges = ((1, 3), (4, 3), (4, 3))
    x, y = tensor("x", (-1, 3), ranges, dtype=dtype), tensor("y", (-1, 3), dtype=dtype)
    model = models.Model("typed", [x], [y], models.host_kernel(lambda x: x[:, ::-1]))
    values = np.array([[0, 1, 1], [1, 0, 0]]).astype(dtype)
    async with engine_on(tmp_path, model, graphs=graphs) as (engine, _):
        assert engine.inputs[0].dtype == engine.outputs[0].dtype == np.dtype(dtype)
        assert same(await engine.infer(values), values[:, ::-1])
        assert same(await engine.infer(values[0]), values[0, ::-1])


async def test_batch_sizes_are_powers_of_two_up_to_the_profile(tmp_path: Path) -> None:
    model = models.elementwise(double, most=13)
    with doubles.install():
        backend = load(PlanFile(write(tmp_path, model)), TensorRTOptions(padding={}))
        assert backend.largest_batch_size == backend.default_batch_size == 13
        assert backend.default_batch_sizes(13) == (1, 2, 4, 8, 13)
        assert backend.default_batch_sizes(6) == (1, 2, 4, 6)
        assert backend.default_batch_sizes(1) == (1,)
        backend.close()


async def test_batches_are_never_smaller_than_the_smallest_of_the_plan(tmp_path: Path) -> None:
    x = tensor("x", (-1, 4), ((3, 4), (8, 4), (8, 4)))
    model = models.Model("least", [x], [tensor("y", (-1, 4))], models.host_kernel(double))
    async with engine_on(tmp_path, model) as (engine, _):
        assert same(await engine.infer(row(2)), row(5))
        assert same(await engine.infer(rows(range(11))), double(rows(range(11))))
    path = write(tmp_path, model)
    with (
        doubles.install(),
        pytest.raises(InvalidInput, match=r"batches of 1 rows; .* allowed: 3 to 8"),
    ):
        async with open_engine(path, batch_sizes=[1, 8]):
            pass


async def test_more_rows_than_the_plan_allows_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install(), pytest.raises(InvalidInput, match="at most 8"):
        async with open_engine(path, max_batch_size=9):
            pass


def _two_profiles(chosen: list[int]) -> models.Model:
    """Lengths 1 to 32 tuned for 8, and 1 to 64 tuned for 64."""
    profiles = [((1, 1), (4, 8), (4, 32)), ((1, 1), (4, 64), (4, 64))]
    kernel = models.host_kernel(double)

    def run(context: Any, stream: int) -> bool:
        chosen.append(context._profile)
        return kernel(context, stream)

    return models.Model(
        "profiles", [tensor("x", (-1, -1), *profiles)], [tensor("y", (-1, -1))], run
    )


@pytest.mark.parametrize(("length", "profile"), [(8, 0), (16, 0), (32, 0), (33, 1), (64, 1)])
async def test_the_profile_tuned_for_the_nearest_shape_runs(
    tmp_path: Path, length: int, profile: int
) -> None:
    chosen: list[int] = []
    async with engine_on(tmp_path, _two_profiles(chosen), graphs=False) as (engine, _):
        chosen.clear()
        batch = np.ones((4, length), np.float32)
        assert same(await engine.infer(batch), double(batch))
        assert chosen == [profile]


async def test_the_shapes_that_profiles_were_tuned_for_are_warm(tmp_path: Path) -> None:
    async with engine_on(tmp_path, _two_profiles([])) as (engine, gpu):
        before = gpu.context_calls["set_input_shape"]
        for length in (8, 64, 8):
            await engine.infer(np.zeros(length, np.float32))
        assert gpu.context_calls["set_input_shape"] == before


async def test_a_profile_for_larger_batches_than_are_formed_is_left_alone(tmp_path: Path) -> None:
    profiles = [((1, 4), (2, 4), (4, 4)), ((5, 4), (64, 4), (64, 4))]
    model = models.Model(
        "two", [tensor("x", (-1, 4), *profiles)], [tensor("y", (-1, 4))], models.host_kernel(double)
    )
    async with engine_on(tmp_path, model, max_batch_size=4) as (engine, _):
        assert same(await engine.infer(rows(range(6))), double(rows(range(6))))


# -- plans that are refused -----------------------------------------------------------------------


def test_a_format_that_is_not_linear_is_refused(tmp_path: Path) -> None:
    words = "Channel major format where C % 4 == 0 (kCHW4)"
    x = tensor("x", (-1, 4), ((1, 4), (2, 4), (4, 4)), format=words)
    model = models.Model("chw4", [x], [tensor("y", (-1, 4))], models.host_kernel(double))
    text = refused(tmp_path, model)
    assert "'x'" in text
    assert words in text
    assert "allowed_formats" in text


def test_int4_is_refused(tmp_path: Path) -> None:
    x = tensor("x", (-1, 4), ((1, 4), (2, 4), (4, 4)), dtype="int4")
    model = models.Model("int4", [x], [tensor("y", (-1, 4))], models.host_kernel(double))
    assert "'x' is DataType.INT4, which packs two elements into a byte" in refused(tmp_path, model)


def test_an_output_in_host_memory_is_refused(tmp_path: Path) -> None:
    x = tensor("x", (-1, 4), ((1, 4), (2, 4), (4, 4)))
    y = tensor("size", (2,), dtype=np.int64, host=True)
    model = models.Model("host", [x], [y], models.host_kernel(double))
    assert "output 'size' is a shape tensor in host memory" in refused(tmp_path, model)


async def test_inputs_with_different_ranges_on_the_first_axes_share_no_batch_axis(
    tmp_path: Path,
) -> None:
    inputs = [
        tensor("a", (-1, 4), ((1, 4), (2, 4), (4, 4))),
        tensor("b", (-1, 4), ((1, 4), (2, 4), (9, 4))),
    ]
    kernel = models.host_kernel(lambda a, b: np.concatenate([a, b]))
    y = tensor("y", (-1, 4), infer=lambda known: (known["a"][0] + known["b"][0], 4))
    model = models.Model("two", inputs, [y], kernel)
    async with engine_on(tmp_path, model) as (engine, _):
        a, b = rows([1, 2]), rows(range(5))
        answer = await engine.infer({"a": a, "b": b})
        assert same(answer["y"], np.concatenate([a, b]))


async def test_an_output_of_unknown_size_in_a_batched_model_is_refused(tmp_path: Path) -> None:
    x = tensor("x", (-1, 4), ((1, 4), (2, 4), (4, 4)))
    y = tensor("found", (-1, -1), data_dependent=True)
    model = models.Model("nonzero", [x], [y], models.host_kernel(double))
    path = write(tmp_path, model)
    with doubles.install():
        text = await refused_open(path)
    assert "['found'] depends on data" in text


async def test_a_plan_that_does_not_run_is_refused(tmp_path: Path) -> None:
    model = models.elementwise(double, kernel=lambda context, stream: False)
    path = write(tmp_path, model)
    with doubles.install():
        assert "does not run a batch of 1 rows" in await refused_open(path)


PLAN = models.plan(models.elementwise(double))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0garbage", "Magic tag does not match"),
        (PLAN[:-10], "Magic tag does not match"),
        (PLAN.replace(b"11.4.0", b"10.1.0"), "expecting library version 11.4.0 got 10.1.0"),
        (PLAN.replace(b"9.0", b"8.6"), "generated on an incompatible device"),
    ],
    ids=["garbage", "truncated", "foreign-version", "foreign-gpu"],
)
async def test_an_unreadable_plan_is_refused_in_tensorrts_own_words(
    tmp_path: Path, content: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "bad.plan"
    path.write_bytes(content)
    with doubles.install(), caplog.at_level(logging.ERROR, "trtasync.tensorrt"):
        text = await refused_open(path)
    assert words in text
    assert "bad.plan" in text
    assert "11.4.0.106" in text
    assert "Double GPU" in text
    logged = [entry.message for entry in caplog.records if entry.name == "trtasync.tensorrt"]
    assert len(logged) == 1
    assert words in logged[0]


async def test_weights_that_do_not_fit_are_no_matter_of_versions(tmp_path: Path) -> None:
    model = models.elementwise(double, weight_bytes=(1 << 30) + 1)
    path = write(tmp_path, model)
    with doubles.install() as gpu:
        gpu.world.capacity = 1 << 30
        with pytest.raises(CudaError, match=r"does not fit on Double GPU.*OutOfMemory") as caught:
            async with open_engine(path):
                pass
    assert "built" not in str(caught.value)
    assert str(1 << 30) in str(caught.value)


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.plan"
    path.write_bytes(b"")
    with doubles.install():
        assert "empty.plan is not a TensorRT plan but empty" in await refused_open(path)


async def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with doubles.install():
        assert "none.engine is not a file" in await refused_open(tmp_path / "none.engine")


# -- machines that are refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "found"),
    [
        ({"devices": 0}, "speaks CUDA 13.0, and the number of GPUs it gives is 0"),
        ({"devices": 0, "driver": 0}, "found no driver"),
        ({"driver": 0}, "cudaErrorInsufficientDriver"),
        ({"devices": 0}, "cudaErrorNoDevice"),
    ],
)
async def test_without_a_gpu_the_message_says_what_is_needed_and_what_was_found(
    tmp_path: Path, machine: dict[str, int], found: str
) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install(**machine) as gpu, pytest.raises(BackendUnavailable) as caught:  # type: ignore[arg-type]
        async with open_engine(path):
            pass
    text = str(caught.value)
    for part in ("R580", found):
        assert part in text
    assert "pip install" not in text  # it is installed
    assert gpu.world.calls["cudaSetDevice"] == 0


async def test_a_gpu_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    with (
        doubles.install(devices=2),
        pytest.raises(InvalidInput, match="there is no GPU 2: this machine has 2"),
    ):
        async with open_engine(path, devices=[0, 2]):
            pass


@pytest.mark.parametrize("machine", [{"devices": 0}, {"version": "lean"}])
async def test_an_onnx_file_runs_on_the_cpu_where_nothing_builds(machine: dict[str, Any]) -> None:
    with doubles.install(**machine):
        async with open_engine(MODELS / "gather.onnx") as engine:
            assert "onnxruntime" in repr(engine)
            assert same(await engine.infer(np.array(1)), np.arange(4, 8, dtype=np.float32))


async def test_a_plan_is_nothing_for_the_cpu(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    assert "needs the .onnx model" in await refused_open(path, backend="onnxruntime")
