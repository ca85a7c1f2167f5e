"""What only real CUDA shows: odd shapes, graphs against plain enqueues, arrays of other libraries
on busy streams, a kernel that faults, and memory given back."""

import gc
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.gpu.hardware import Array, free_bytes, missing, synchronize, watched
from support.gpu.kernels import COLUMNS, nvrtc_rows, rows_reference, spin, tiny, tiny_weights
from support.gpu.plans import BUCKETS, opened, resnet_plan, rows_plan, tiny_plan, wide_plan
from support.gpu.resnet import IMAGE, ResNet50
from support.helpers import at_once, same
from trtasync import Engine

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.anyio,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("gpu", "tensorrt"),
    # what torch and cupy warn of is not ours to mend
    *(
        pytest.mark.filterwarnings(f"default::{kind}")
        for kind in ("DeprecationWarning", "FutureWarning", "UserWarning")
    ),
]

ROOT = Path(__file__).parents[2]
WIDE = 96
BUSY = 0.03
"""Seconds for which a producer's stream is held up before it writes what is then inferred."""

takes_device_arrays = pytest.mark.skipif(
    "outputs" not in inspect.signature(Engine.infer).parameters,
    reason="this engine neither takes nor gives device arrays",
)


def _ints(*shape: int, seed: int = 5) -> Array:
    return np.random.default_rng(seed).integers(-(2**31), 2**31, shape, dtype=np.int32)


# -- shapes and graphs ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("graphs", [True, False])
async def test_row_shapes_outside_the_warm_ones(graphs: bool, dtype: Any, tmp_path: Path) -> None:
    widths, best = (1, 7, 32, 100, 256), 32
    requests = [
        _ints(1 + index % 5, widths[index % len(widths)], seed=index).astype(dtype)
        for index in range(1_000)  # 3 000 rows: the queue takes 4 096
    ]
    plan = wide_plan(nvrtc_rows(dtype), best, max(widths), dtype)
    async with opened(plan, tmp_path, streams=3, graphs=graphs) as engine:
        for x, answer in zip(requests, await at_once(engine, requests), strict=True):
            assert same(answer, rows_reference(x))


async def test_graph_and_plain_give_the_same_bits(tmp_path: Path) -> None:
    kernel = tiny()
    random = np.random.default_rng(3)
    rows = [random.standard_normal((1 + i % 9, COLUMNS), dtype=np.float32) for i in range(300)]
    found = []
    for graphs, streams in ((True, 2), (False, 2), (True, 1)):
        async with opened(tiny_plan(kernel), tmp_path, streams=streams, graphs=graphs) as engine:
            found.append(await at_once(engine, rows))
    for x, *answers in zip(rows, *found, strict=True):
        np.testing.assert_allclose(answers[0], x @ tiny_weights(), rtol=1e-3, atol=1e-2)
        assert all(same(answer, answers[0]) for answer in answers)


async def test_large_rows_staged_by_threads(tmp_path: Path) -> None:
    columns = 150_528  # 0.6 MB per row: a float32 image
    requests = [_ints(1 + index % 3, columns, seed=index) for index in range(60)]
    plan = rows_plan(nvrtc_rows(), columns)
    async with opened(plan, tmp_path, streams=2, max_batch_size=16) as engine:
        for x, answer in zip(requests, await at_once(engine, requests), strict=True):
            assert same(answer, rows_reference(x))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
async def test_a_torch_graph_inside_the_engines_graph(
    dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = missing("torch", "torchvision")
    if reason:
        pytest.skip(reason)
    monkeypatch.setenv("GPU_CUDNN_BENCHMARK", "0")
    model = ResNet50()
    random = np.random.default_rng(4)
    bright = np.array([64, 128, 192, 256]).reshape(4, 1, 1, 1)  # so that rows are told apart
    x = random.integers(0, bright, (4, *IMAGE), dtype=np.uint8).astype(dtype)
    try:
        kernel, found = model.kernel(dtype), []
        for graphs in (True, False):
            plan = resnet_plan(kernel, dtype, largest=4)
            options = {"max_batch_size": 4, "batch_sizes": [1, 4], "graphs": graphs}
            async with opened(plan, tmp_path, streams=2, **options) as engine:
                found.append(await engine.infer(x))
                found.extend(await at_once(engine, [x] * 16))
                single = await engine.infer(x[2])
                # another batch size means other algorithms: near, not equal
                room = 0.03 * np.abs(found[0][2]).max()
                np.testing.assert_allclose(single, found[0][2], rtol=0, atol=room)
        assert np.isfinite(found[0]).all()
        assert np.ptp(found[0]) > 0
        assert not np.array_equal(found[0][0], found[0][1])
        assert all(same(answer, found[0]) for answer in found)
    finally:
        model.close()


# -- arrays of other libraries --------------------------------------------------------------------


@takes_device_arrays
@pytest.mark.parametrize("graphs", [True, False])
async def test_torch_tensors_from_a_busy_stream(graphs: bool, torch: Any, tmp_path: Path) -> None:
    stream = torch.cuda.Stream()
    async with opened(rows_plan(nvrtc_rows(), WIDE), tmp_path, graphs=graphs) as engine:
        for index in range(10):
            host = _ints(1 + index % 4, WIDE, seed=index)
            ready = torch.from_numpy(host).cuda()
            x = torch.zeros_like(ready)
            synchronize()
            with torch.cuda.stream(stream):
                spin(stream.cuda_stream, BUSY)
                x.copy_(ready)  # runs long after `infer` was called
                answer = await engine.infer(x)
            assert same(answer, rows_reference(host))


@takes_device_arrays
@pytest.mark.parametrize("graphs", [True, False])
async def test_cupy_arrays_from_a_busy_stream(graphs: bool, cupy: Any, tmp_path: Path) -> None:
    stream = cupy.cuda.Stream(non_blocking=True)
    async with opened(rows_plan(nvrtc_rows(), WIDE), tmp_path, graphs=graphs) as engine:
        for index in range(10):
            host = _ints(1 + index % 4, WIDE, seed=index)
            ready = cupy.asarray(host)
            x = cupy.zeros_like(ready)
            synchronize()
            with stream:
                spin(stream.ptr, BUSY)
                cupy.copyto(x, ready)
                answer = await engine.infer(x)
            assert same(answer, rows_reference(host))


@takes_device_arrays
async def test_a_tensor_without_batch_axis_and_a_slice(torch: Any, tmp_path: Path) -> None:
    host = _ints(10, WIDE)
    x = torch.from_numpy(host).cuda()
    synchronize()
    async with opened(rows_plan(nvrtc_rows(), WIDE), tmp_path) as engine:
        assert same(await engine.infer(x[3]), rows_reference(host)[3])
        assert same(await engine.infer(x[4:9]), rows_reference(host)[4:9])
        assert same(await engine.infer(x[::2].contiguous()), rows_reference(host)[::2])


def _by_torch(torch: Any, cupy: Any) -> Callable[[Any], Array]:
    def read(answer: Any) -> Array:
        return np.asarray(torch.from_dlpack(answer).cpu().numpy())

    return read


def _by_cupy(torch: Any, cupy: Any) -> Callable[[Any], Array]:
    def read(answer: Any) -> Array:
        return np.asarray(cupy.asnumpy(cupy.asarray(answer)))

    return read


@takes_device_arrays
@pytest.mark.parametrize("reader", [_by_torch, _by_cupy])
async def test_answers_on_the_device(reader: Any, torch: Any, cupy: Any, tmp_path: Path) -> None:
    read = reader(torch, cupy)
    requests = [_ints(1 + index % 4, WIDE, seed=index) for index in range(100)]
    async with opened(rows_plan(nvrtc_rows(), WIDE), tmp_path, streams=2) as engine:
        answers = [await engine.infer(x, outputs="device") for x in requests[:20]]
        for x, answer in zip(requests, answers, strict=False):
            assert same(read(answer), rows_reference(x))
        del answers, answer
        for x in requests:  # read at once and let go: their memory is used again
            assert same(read(await engine.infer(x, outputs="device")), rows_reference(x))
        gc.collect()


@takes_device_arrays
async def test_device_in_and_device_out(torch: Any, tmp_path: Path) -> None:
    """The answer of one request is the next one's input, without a look at it between."""
    host = _ints(3, WIDE)
    expected = rows_reference(rows_reference(rows_reference(host)))
    async with opened(rows_plan(nvrtc_rows(), WIDE), tmp_path, streams=2) as engine:
        x = torch.from_numpy(host).cuda()
        synchronize()
        for _ in range(2):
            x = torch.from_dlpack(await engine.infer(x, outputs="device"))
        assert same(await engine.infer(x), expected)
        del x
        gc.collect()


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("graphs", [True, False])
async def test_closing_gives_everything_back(graphs: bool, tmp_path: Path) -> None:
    columns = 65_536
    plan = rows_plan(nvrtc_rows(), columns)
    left = []
    for _ in range(6):
        with watched() as ledger:
            async with opened(
                plan, tmp_path, streams=3, batch_sizes=list(BUCKETS), graphs=graphs
            ) as engine:
                x = _ints(5, columns)
                assert same(await engine.infer(x), rows_reference(x))
                taken = free_bytes()
            assert not ledger.blocks["device"]
            assert not ledger.blocks["pinned"]
            # a slot's rows in and out, three streams, at least one slot each
            assert ledger.peak["pinned"] >= 3 * 2 * 64 * columns * 4
            assert ledger.peak["device"] >= 3 * 2 * 64 * columns * 4
        gc.collect()
        synchronize()
        left.append(free_bytes())
        assert left[-1] > taken
    # the first cycles may leave the driver's own caches
    assert left[2:] == [left[2]] * 4


def test_a_kernel_that_faults(tmp_path: Path) -> None:
    """In a process of its own, which goes on living without its GPU."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.faulting", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["before"] == ["right"] * 3
    assert found["during"][0] == "DeviceLost"
    assert set(found["during"]) <= {"DeviceLost", "right"}
    assert found["after"][-1] == "DeviceLost"
    assert set(found["after"]) == {"DeviceLost"}
    assert not any(found["streams"])
    assert not found["threads"]
    for text in (found["words"], found["reopened"]):
        assert text.count("restart this process") == 1
        assert "another" not in text
    assert found["reopened"].startswith("DeviceLost: ")
