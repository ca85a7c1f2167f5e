"""A plan run on whole arrays before it is opened: what the check of its rows goes by."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import doubles
from support.doubles import Installed, models
from support.helpers import Array, row, rows, same
from tests.tensorrt.support import double, engine_on, lines, tensor, write
from tests.tensorrt.voice import recurrent, request, step
from trtasync import CudaError, InferenceError, InvalidInput, open_engine
from trtasync.rows.check import check
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt import TensorRTBackend, TensorRTOptions, load
from trtasync.runtimes.tensorrt.trial import PlanTrial
from trtasync.system.stopping import Stopped


@contextmanager
def trial_of(
    folder: Path, model: models.Model, **options: Any
) -> Iterator[tuple[PlanTrial, TensorRTBackend, Installed]]:
    """On the doubles, which look whether all was given back."""
    path = write(folder, model)
    with doubles.install() as gpu:
        backend = load(PlanFile(path), TensorRTOptions(padding={}, **options))
        trial = backend.trial()
        yield trial, backend, gpu
        trial.close()
        assert gpu.world.device_bytes == 0
        backend.close()


def test_any_allowed_shapes_run_and_outputs_come_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with trial_of(tmp_path, lines()) as (trial, _, _):
        for shape in ((1, 1), (4, 64), (2, 7), (4, 64), (3, 16)):
            x = rng.standard_normal(shape, np.float32)
            assert same(trial.run([x])[0], double(x))


def test_rows_lie_as_in_the_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    with trial_of(tmp_path, recurrent()) as (trial, _, _):
        assert [spec.name for spec in trial.inputs] == ["input", "state", "sr"]
        for count in (3, 8, 1):
            asked = request(rng, count, 16000)
            found = trial.run(list(asked.values()))
            assert all(map(same, found, step(*asked.values())))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((5, 4), np.float32), r"no optimization profile .*\(5, 4\)"),
        (np.zeros((2, 65), np.float32), "no optimization profile"),
        (np.zeros((2, 4), np.float64), "float64"),
    ],
)
def test_what_no_profile_allows_is_refused_and_the_next_run_is_right(
    tmp_path: Path, array: Array, words: str
) -> None:
    with trial_of(tmp_path, lines()) as (trial, _, _):
        trial.run([rows([1, 2])])
        with pytest.raises(InvalidInput, match=words):
            trial.run([array])
        assert same(trial.run([rows([1, 2])])[0], rows([3, 5]))


def test_a_stopped_trial_takes_no_runs(tmp_path: Path) -> None:
    with trial_of(tmp_path, lines()) as (trial, _, gpu):
        trial.run([rows([1])])
        before = gpu.context_calls["execute_async_v3"]
        trial.stop()
        with pytest.raises(InferenceError, match="stopped"):
            trial.run([rows([1])])
        assert gpu.context_calls["execute_async_v3"] == before


def test_a_check_that_is_called_off_is_no_verdict(tmp_path: Path) -> None:
    off = threading.Event()
    with trial_of(tmp_path, lines(), stop=off) as (trial, _, gpu):
        before = gpu.context_calls["execute_async_v3"]
        off.set()
        with pytest.raises(Stopped):
            check(trial, {"x": 0}, deadline=10.0)
        assert gpu.context_calls["execute_async_v3"] == before


def test_an_output_whose_size_depends_on_data_has_its_true_size(tmp_path: Path) -> None:
    x = tensor("x", (-1, 4), ((1, 4), (2, 4), (4, 4)))
    y = tensor("found", (-1, 4), data_dependent=True)
    kernel = models.host_kernel(lambda x: x[x[:, 0] > 0])
    with trial_of(tmp_path, models.Model("filter", [x], [y], kernel)) as (trial, _, _):
        for values in ([1, -1, 2], [-1, -2], [1, 2, 3, 4]):
            batch = rows(values)
            assert same(trial.run([batch])[0], batch[batch[:, 0] > 0])


def test_shape_tensors_have_the_values_that_the_plan_was_tuned_for(tmp_path: Path) -> None:
    x = tensor("x", (-1, 6), ((1, 6), (2, 6), (4, 6)))
    size = tensor("columns", (1,), ((1,), (3,), (6,)), dtype=np.int64, host=True)
    y = tensor("y", (-1, -1), infer=lambda known: (known["x"][0], known["columns"][0]))
    kernel = models.host_kernel(lambda x, columns: x[:, : columns[0]])
    model = models.Model("crop", [x, size], [y], kernel)
    with trial_of(tmp_path, model) as (trial, _, _):
        assert [spec.name for spec in trial.inputs] == ["x"]
        assert same(trial.run([rows([1, 2], 6)])[0], rows([1, 2], 3))


def test_lengths_are_declared_as_the_plan_was_tuned(tmp_path: Path) -> None:
    """Others may be in no profile, and the check would try them."""
    with trial_of(tmp_path, lines()) as (trial, _, _):
        assert trial.inputs[0].shape == (4, 16)


@pytest.mark.parametrize(
    ("profiles", "sizes"),
    [
        ([((1, 4), (1, 4), (1, 4)), ((8, 4), (8, 4), (8, 4))], [1, 8]),
        ([((1, 4), (4, 4), (4, 4)), ((9, 4), (9, 4), (12, 4))], [1, 2, 3, 4]),
        ([((1, 20), (4, 64), (4, 64)), ((5, 1), (9, 16), (16, 16))], [1, 2, 3, 4]),
    ],
    ids=["two-sizes", "gap", "other-rows"],
)
def test_the_backend_says_which_numbers_of_rows_there_are(
    tmp_path: Path, profiles: list[models.Range], sizes: list[int]
) -> None:
    width = profiles[0][0][1] if profiles[0][0][1] == 4 else -1
    x, y = tensor("x", (-1, width), *profiles), tensor("y", (-1, width))
    model = models.Model("sizes", [x], [y], models.host_kernel(double))
    with trial_of(tmp_path, model) as (trial, backend, _):
        assert backend.possible_batch_sizes == sizes
        shape = trial.inputs[0].shape
        for size in sizes:
            batch = np.ones((size, int(shape[1] or 0)), np.float32)
            assert same(trial.run([batch])[0], double(batch))


# -- what opening makes of it ----------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_plan_whose_rows_meet_runs_them_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = models.elementwise(lambda x: x - x.max(axis=0))
    async with engine_on(tmp_path, model) as (engine, _):
        assert same(await engine.infer(rows([1, 2])), rows([-1, 0]))
        assert engine.statistics().batch_sizes == {1: 1}
    assert "'y' is coupled" in caplog.text


@pytest.mark.anyio
async def test_a_row_keeps_its_bits_beside_any_neighbours_of_its_batch(tmp_path: Path) -> None:
    with trial_of(tmp_path, models.elementwise(double)) as (trial, _, _):
        quiet = trial.run([rows([3, 0, 0, 0])])[0]
        loud = trial.run([rows([3, 1e30, -np.inf, np.nan])])[0]
        assert same(quiet[0], row(7))
        assert same(loud[0], row(7))


@pytest.mark.anyio
async def test_a_full_gpu_is_no_verdict_on_rows(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double))
    with doubles.install() as gpu:
        gpu.world.fail("cudaMalloc", "cudaErrorMemoryAllocation")
        with pytest.raises(CudaError, match="cudaErrorMemoryAllocation"):
            async with open_engine(path):
                pass


@pytest.mark.anyio
async def test_the_users_axes_decide_which_sizes_are_tried(tmp_path: Path) -> None:
    """x[2, n]: nothing in the plan tells that rows lie along the second axis, at most 4 of them."""
    x = tensor("x", (2, -1), ((2, 1), (2, 4), (2, 4)))
    y = tensor("y", (2, -1), infer=lambda known: known["x"])
    model = models.Model("columns", [x], [y], models.host_kernel(double))
    async with engine_on(tmp_path, model, batch_axes={"x": 1, "y": 1}) as (engine, _):
        batch = np.arange(22, dtype=np.float32).reshape(2, 11)
        assert same(await engine.infer(batch), double(batch))
        assert max(engine.statistics().batch_sizes) == 4


@pytest.mark.anyio
async def test_a_small_profile_is_tried_before_a_large_one(tmp_path: Path) -> None:
    """The arena of the other would be taken for nothing."""

    def activation(profile: int) -> int:
        return (1 << 35, 1 << 10)[profile == 0]

    profiles = [((1, 4), (4, 4), (4, 4)), ((5, 4), (4096, 4), (4096, 4))]
    x, y = tensor("x", (-1, 4), *profiles), tensor("y", (-1, 4))
    kernel = models.host_kernel(double)
    model = models.Model("two", [x], [y], kernel, activation_bytes=activation)
    async with engine_on(tmp_path, model, max_batch_size=4) as (engine, _):
        assert same(await engine.infer(rows([1, 2, 3])), rows([3, 5, 7]))
        assert engine.statistics().batch_sizes == {3: 1}
