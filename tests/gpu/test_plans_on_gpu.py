"""What opening a plan does on a real device: memory, profiles, an end by its caller, and the bits
of rows beside other neighbours."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support.gpu import bert
from support.gpu.hardware import Array, load, missing, watched
from support.gpu.kernels import (
    COLUMNS,
    Kernel,
    faulty,
    hundred_kernels,
    nvrtc_rows,
    rows_reference,
    tiny,
)
from support.gpu.plans import (
    bert_plan,
    make_plan,
    opened,
    resnet_plan,
    rows_plan,
    tiny_plan,
    wide_plan,
)
from support.gpu.resnet import IMAGE, ResNet50
from support.helpers import same
from trtasync import InvalidInput, PlanError
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt import TensorRTOptions
from trtasync.runtimes.tensorrt import load as load_plan

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.anyio,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("gpu", "tensorrt"),
    # what torch warns of is not ours to mend
    *(
        pytest.mark.filterwarnings(f"default::{kind}")
        for kind in ("DeprecationWarning", "FutureWarning", "UserWarning")
    ),
]

CANCELLED_WITHIN = 0.1
"""Seconds."""


def _ints(*shape: int) -> Array:
    return np.random.default_rng(7).integers(-(2**31), 2**31, shape, dtype=np.int32)


def _batches(*ranges: tuple[int, int], kernel: Kernel | None = None, **more: Any) -> bytes:
    """[n, 96] -> [n, 96], a profile for each range of batch sizes."""
    profiles = [((low, 96), (high, 96), (high, 96)) for low, high in ranges]
    source = (np.int32, (-1, 96), profiles)
    return make_plan("ranges", source, (np.int32, (-1, 96)), kernel or nvrtc_rows(), **more)


# -- profiles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranges", [[(1, 1), (8, 8)], [(1, 4), (9, 16)]])
async def test_profiles_with_a_gap(ranges: list[tuple[int, int]], tmp_path: Path) -> None:
    largest = ranges[-1][1]
    async with opened(_batches(*ranges), tmp_path, max_batch_size=largest) as engine:
        for count in range(1, 2 * largest + 2):
            x = _ints(count, 96)
            assert same(await engine.infer(x), rows_reference(x))
    with pytest.raises(InvalidInput, match="no optimization profile"):
        async with opened(_batches(*ranges), tmp_path, max_batch_size=ranges[0][1] + 1):
            pass


async def test_profiles_out_of_reach_take_no_memory(tmp_path: Path) -> None:
    def activation(profile: int) -> int:
        return (32 << 20, 32 << 10)[profile == 0]

    plan = _batches((1, 4), (5, 4096), activation_bytes=activation)
    with watched() as ledger:
        async with opened(plan, tmp_path, max_batch_size=4, streams=1) as engine:
            assert ledger.held("device") < 1 << 20
            x = _ints(6, 96)
            assert same(await engine.infer(x), rows_reference(x))
        assert not ledger.blocks["device"]


async def test_a_refused_largest_shape_ends_the_opening_and_not_the_device(tmp_path: Path) -> None:
    models = load("support.doubles.models")

    def refuse_wide(shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
        if shapes["x"][1] > 64:
            raise RuntimeError("too wide")
        return shapes["x"]

    profile = ((1, 1), (8, 32), (8, 256))
    x = models.Tensor("x", np.dtype(np.int32), (-1, -1), profiles=[profile])
    y = models.Tensor("y", np.dtype(np.int32), (-1, -1), infer=refuse_wide)
    plan = models.plan(models.Model("refusing", [x], [y], nvrtc_rows()))
    with watched() as ledger, pytest.raises(PlanError, match="too wide"):
        async with opened(plan, tmp_path, max_batch_size=8):
            pass
    assert not ledger.blocks["device"]
    assert not ledger.blocks["pinned"]
    async with opened(rows_plan(nvrtc_rows()), tmp_path) as engine:  # the device is well
        x = _ints(5, 96)
        assert same(await engine.infer(x), rows_reference(x))


async def test_rows_along_the_second_axis(tmp_path: Path) -> None:
    profiles = [((24, 1), (24, 8), (24, 8))]
    plan = make_plan("columns", (np.int32, (24, -1), profiles), (np.int32, (24, -1)), faulty())
    axes = {"x": 1, "y": 1}
    for graphs in (True, False):
        options = {"max_batch_size": 8, "batch_axes": axes, "graphs": graphs}
        async with opened(plan, tmp_path, **options) as engine:
            for count in (1, 3, 8, 13):
                x = np.arange(24 * count, dtype=np.int32).reshape(24, count)
                assert same(await engine.infer(x), x + 1)


# -- opening --------------------------------------------------------------------------------------


async def test_a_healthy_opening_logs_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with opened(_batches((1, 4), capturable=False), tmp_path, max_batch_size=4):
            pass
    assert [entry for entry in caplog.records if entry.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("after", [0.0, 0.02, 0.1])
async def test_a_cancelled_opening_ends_soon_and_leaves_nothing(
    tmp_path: Path, after: float
) -> None:
    plan = rows_plan(hundred_kernels())
    with watched() as ledger:
        with anyio.move_on_after(after) as scope:
            async with opened(plan, tmp_path, streams=64, batch_sizes=[1, 8, 32, 64]):
                raise AssertionError("it was opened before it could be cancelled")
        late = anyio.current_time() - scope.deadline
        assert scope.cancelled_caught
        assert not ledger.blocks["device"]
        assert not ledger.blocks["pinned"]
    assert late < CANCELLED_WITHIN


# -- the bits of a row beside other neighbours ----------------------------------------------------

NEIGHBOURS: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "fresh": lambda x, rng: rng.permutation(x),
    "loud": lambda x, rng: x * np.asarray(1000, x.dtype),
    "quiet": lambda x, rng: np.zeros_like(x),
    "nan": lambda x, rng: np.full_like(x, math.nan) if x.dtype.kind == "f" else x // 2,
}


@contextmanager
def _trial(plan: bytes, folder: Path) -> Iterator[Any]:
    path = folder / "trial.plan"
    path.write_bytes(plan)
    backend = load_plan(PlanFile(path), TensorRTOptions(padding={}))
    trial = backend.trial()
    try:
        yield trial
    finally:
        trial.close()
        backend.close()


def _differences(trial: Any, inputs: Sequence[Array], seed: int = 0) -> list[str]:
    """Where a kept row changed its bits."""
    rng = np.random.default_rng(seed)
    base = trial.run(inputs)
    found = []
    for kept in (0, len(inputs[0]) - 1):
        for name, change in NEIGHBOURS.items():
            changed = [change(x, rng) for x in inputs]
            for x, original in zip(changed, inputs, strict=True):
                x[kept] = original[kept]
            for before, after in zip(base, trial.run(changed), strict=True):
                if before[kept].tobytes() != after[kept].tobytes():
                    found.append(f"row {kept} of {len(inputs[0])} beside {name}")
    return found


async def test_opening_finds_that_rows_may_share_a_batch(tmp_path: Path) -> None:
    """The check that opening makes, in the time that it takes by default."""
    async with opened(tiny_plan(tiny()), tmp_path, batching="auto") as engine:
        x = np.random.default_rng(4).standard_normal((8, COLUMNS), np.float32)
        await engine.infer(x)
        assert set(engine.statistics().batch_sizes) == {8}


PLANS: dict[str, Callable[[], bytes]] = {
    "rows-int": lambda: rows_plan(nvrtc_rows()),
    "rows-float": lambda: rows_plan(nvrtc_rows(np.float32), dtype=np.float32),
    "hundred": lambda: rows_plan(hundred_kernels(np.float32), dtype=np.float32),
    "wide": lambda: wide_plan(nvrtc_rows(np.float32), 96, 256, np.float32),
    "tiny": lambda: tiny_plan(tiny()),
}


@pytest.mark.parametrize("rows", [2, 3, 5, 16, 64])
@pytest.mark.parametrize("name", PLANS)
def test_a_row_keeps_its_bits_at_the_same_size_and_place(
    name: str, rows: int, tmp_path: Path
) -> None:
    with _trial(PLANS[name](), tmp_path) as trial:
        (spec,) = trial.inputs
        columns = COLUMNS if name == "tiny" else 96
        x = np.random.default_rng(rows).standard_normal((rows, columns)) * 1000
        assert _differences(trial, [x.astype(spec.dtype)]) == []


@pytest.mark.parametrize("rows", [2, 3, 5, 16])
def test_a_row_of_resnet_keeps_its_bits(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := missing("torch", "torchvision"):
        pytest.skip(reason)
    monkeypatch.setenv("GPU_CUDNN_BENCHMARK", "0")
    model = ResNet50()
    try:
        with _trial(resnet_plan(model.kernel(), "float32"), tmp_path) as trial:
            x = np.random.default_rng(rows).standard_normal((rows, *IMAGE), np.float32)
            assert _differences(trial, [x]) == []
    finally:
        model.close()


@pytest.mark.parametrize("rows", [2, 3, 16])
def test_a_row_of_a_text_encoder_keeps_its_bits(rows: int, tmp_path: Path) -> None:
    if reason := missing("torch"):
        pytest.skip(reason)
    model = bert.Bert()
    try:
        with _trial(bert_plan(model.kernel()), tmp_path) as trial:
            rng = np.random.default_rng(rows)
            ids = rng.integers(1, 1000, (rows, 64)).astype(bert.DTYPE)
            mask = np.ones_like(ids)
            base = trial.run([ids, mask])
            for _ in range(4):
                other = rng.integers(1, 1000, ids.shape).astype(bert.DTYPE)
                other[0] = ids[0]
                (answer,) = trial.run([other, mask])
                assert answer[0].tobytes() == base[0][0].tobytes()
    finally:
        model.close()
