"""One engine on two real GPUs: every answer right whichever of them gave it, arrays of both taken,
and both given back."""

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.gpu.hardware import Array, call, gpus, missing, on_gpu, runtime, watched
from support.gpu.kernels import COLUMNS, nvrtc_rows, rows_reference, tiny
from support.gpu.plans import opened, resnet_plan, rows_plan, tiny_plan
from support.gpu.resnet import IMAGE, ResNet50
from support.helpers import at_once, same
from trtasync.runtimes.cuda import find_device

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.anyio,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("both", "tensorrt"),
    # what torch warns of is not ours to mend
    *(
        pytest.mark.filterwarnings(f"default::{kind}")
        for kind in ("DeprecationWarning", "FutureWarning", "UserWarning")
    ),
]

BOTH = [0, 1]
STREAMS = 2
WIDE = 65_536
"""Columns of int32: 256 KB a row, which pinned arrays lend and ordinary ones have copied."""


@pytest.fixture(scope="module")
def both(gpu: None) -> None:
    """Skip where there are not two."""
    if gpus() < len(BOTH):
        pytest.skip(f"two GPUs are wanted, and there are {gpus()}")


def _ints(*shape: int, seed: int = 5) -> Array:
    return np.random.default_rng(seed).integers(-(2**31), 2**31, shape, dtype=np.int32)


def _by_gpu(engine: Any) -> list[int]:
    """Batches of each GPU: the streams come GPU by GPU."""
    done = [stream.batches for stream in engine.statistics().streams]
    return [sum(done[start : start + STREAMS]) for start in range(0, len(done), STREAMS)]


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("devices", [[1], [0, 1], [1, 0]])
async def test_every_answer_is_right(devices: list[int], graphs: bool, tmp_path: Path) -> None:
    requests = [_ints(1 + index % 9, 96, seed=index) for index in range(800)]
    options = {"devices": devices, "streams": STREAMS, "graphs": graphs}
    async with opened(rows_plan(nvrtc_rows()), tmp_path, **options) as engine:
        for _ in range(3):
            for x, answer in zip(requests, await at_once(engine, requests), strict=True):
                assert same(answer, rows_reference(x))
        assert len(_by_gpu(engine)) == len(devices)
        assert all(_by_gpu(engine))


@pytest.mark.parametrize("pinned", [True, False])
async def test_large_rows_reach_both(pinned: bool, tmp_path: Path) -> None:
    requests = [_ints(1 + index % 3, WIDE, seed=index) for index in range(60)]
    options = {"devices": BOTH, "streams": STREAMS, "max_batch_size": 16}
    async with opened(rows_plan(nvrtc_rows(), WIDE), tmp_path, **options) as engine:
        arrays = requests
        if pinned:
            arrays = [engine.empty_input(len(x)) for x in requests]
            for array, x in zip(arrays, requests, strict=True):
                array[...] = x
        for _ in range(2):
            for x, answer in zip(requests, await at_once(engine, arrays), strict=True):
                assert same(answer, rows_reference(x))
        assert all(_by_gpu(engine))


async def test_both_give_the_same_bits(tmp_path: Path) -> None:
    x = np.random.default_rng(3).standard_normal((64, COLUMNS), dtype=np.float32)
    options = {"devices": BOTH, "streams": STREAMS, "batch_sizes": [64]}
    async with opened(tiny_plan(tiny()), tmp_path, **options) as engine:
        answers = await at_once(engine, [x] * 24)
        assert all(_by_gpu(engine))
    assert all(same(answer, answers[0]) for answer in answers)


async def test_torch_on_both_gives_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = missing("torch", "torchvision")
    if reason:
        pytest.skip(reason)
    monkeypatch.setenv("GPU_CUDNN_BENCHMARK", "0")
    model = ResNet50(fuse=False)
    x = np.random.default_rng(4).integers(0, 256, (4, *IMAGE), dtype=np.uint8)
    try:
        plan = resnet_plan(model.kernel("uint8"), "uint8", largest=4)
        options = {"devices": BOTH, "max_batch_size": 4, "batch_sizes": [4], "streams": STREAMS}
        async with opened(plan, tmp_path, **options) as engine:
            answers = await at_once(engine, [x] * 16)
            assert all(_by_gpu(engine))
        assert np.ptp(answers[0]) > 0
        assert all(same(answer, answers[0]) for answer in answers)
    finally:
        model.close()


async def test_tensors_of_both_are_taken_wherever_they_run(torch: Any, tmp_path: Path) -> None:
    hosts = [_ints(1 + index % 4, 96, seed=index) for index in range(64)]
    tensors = [torch.from_numpy(x).to(f"cuda:{index % 2}") for index, x in enumerate(hosts)]
    for gpu in BOTH:
        torch.cuda.synchronize(gpu)
    options = {"devices": BOTH, "streams": STREAMS}
    async with opened(rows_plan(nvrtc_rows()), tmp_path, **options) as engine:
        for x, answer in zip(hosts, await at_once(engine, tensors), strict=True):
            assert same(answer, rows_reference(x))
        assert all(_by_gpu(engine))
    del tensors
    gc.collect()


async def test_closing_gives_both_back(tmp_path: Path) -> None:
    plan, x = rows_plan(nvrtc_rows(), WIDE), _ints(5, WIDE)
    left = []
    for _ in range(4):
        with watched() as ledger:
            options = {"devices": BOTH, "streams": STREAMS, "batch_sizes": [1, 64]}
            async with opened(plan, tmp_path, **options) as engine:
                for answer in await at_once(engine, [x] * 40):
                    assert same(answer, rows_reference(x))
            assert not ledger.blocks["device"]
            assert not ledger.blocks["pinned"]
        gc.collect()
        left.append([_free_on(gpu) for gpu in BOTH])
    # the first cycle may leave the driver's own caches
    assert left[2:] == [left[2]] * 2


def _free_on(gpu: int) -> int:
    with on_gpu(gpu):
        call(runtime().cudaDeviceSynchronize)
        return int(call(runtime().cudaMemGetInfo)[0])


def test_a_thread_goes_from_one_to_the_other() -> None:
    """The driver's call, which keeps the GIL, is what the runtime goes by."""
    found: list[int] = []

    def visit() -> None:
        devices = [find_device(gpu) for gpu in BOTH]
        for at in (0, 1, 1, 0, 1, 0):
            devices[at].enter_again()
            found.append(int(call(runtime().cudaGetDevice)))
            address = int(call(runtime().cudaMalloc, 256))
            found.append(int(call(runtime().cudaPointerGetAttributes, address).device))
            call(runtime().cudaFree, address)

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    assert found == [0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0]
    assert all(find_device(gpu).fast.keeps_gil for gpu in BOTH)
