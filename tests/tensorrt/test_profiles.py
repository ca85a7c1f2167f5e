"""Optimization profiles: which batches and shapes they allow, and what memory they cost."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from anyio import to_thread

from support import doubles
from support.doubles import models
from support.doubles.trt_context import IExecutionContext
from support.helpers import PATIENCE, Array, rows, same
from tests.tensorrt.support import double, engine_on, masked, tensor, write
from trtasync import InferenceError, InvalidInput, Pad, PlanError, open_engine

pytestmark = pytest.mark.anyio


def batches(*ranges: tuple[int, int], **more: Any) -> models.Model:
    """x[n, 4] -> y[n, 4], a profile for each range of batch sizes, tuned for its largest."""
    profiles = [((low, 4), (high, 4), (high, 4)) for low, high in ranges]
    x, y = tensor("x", (-1, 4), *profiles), tensor("y", (-1, 4))
    kernel = models.host_kernel(more.pop("function", double))
    return models.Model("batches", [x], [y], kernel, **more)


JUST_LANES: dict[str, Any] = {"batching": True, "streams": 1}
"""One lane, and nothing run before it."""


# -- batch sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranges", "sizes"),
    [
        ([(1, 1), (8, 8)], {1, 8}),
        ([(1, 4), (9, 16)], {1, 2, 4, 9, 16}),
        ([(1, 4), (5, 8)], {1, 2, 4, 8}),
        ([(8, 8), (1, 1), (3, 4)], {1, 3, 4, 8}),
    ],
)
async def test_batches_have_sizes_that_some_profile_allows(
    tmp_path: Path, ranges: list[tuple[int, int]], sizes: set[int]
) -> None:
    ran = set[int]()

    def watched(x: Array) -> Array:
        ran.add(len(x))
        return double(x)

    async with engine_on(tmp_path, batches(*ranges, function=watched)) as (engine, _):
        ran.clear()
        for count in range(1, 20):
            assert same(await engine.infer(rows(range(count))), double(rows(range(count))))
    assert ran == sizes


@pytest.mark.parametrize("options", [{"max_batch_size": 6}, {"batch_sizes": [1, 6, 16]}])
async def test_sizes_in_a_gap_are_refused_with_the_ranges(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = write(tmp_path, batches((1, 4), (9, 16)))
    with (
        doubles.install(),
        pytest.raises(InvalidInput, match=r"batches of 6 rows.*1 to 4, 9 to 16"),
    ):
        async with open_engine(path, **options):
            pass


def _long_or_many() -> models.Model:
    """Up to 4 long lines, or 5 to 16 short ones."""
    profiles = [((1, 17), (4, 64), (4, 64)), ((5, 1), (16, 16), (16, 16))]
    x, y = tensor("x", (-1, -1), *profiles), tensor("y", (-1, -1))
    return models.Model("long or many", [x], [y], models.host_kernel(double))


async def test_sizes_that_no_row_shape_has_all_of_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, _long_or_many())
    with (
        doubles.install(),
        pytest.raises(InvalidInput, match=r"batches of 5 to 16 as.*batch_sizes"),
    ):
        async with open_engine(path):
            pass


@pytest.mark.parametrize(
    ("options", "length"), [({"max_batch_size": 4}, 40), ({"batch_sizes": [8, 16]}, 9)]
)
async def test_sizes_of_one_of_two_profiles_are_taken(
    tmp_path: Path, options: dict[str, Any], length: int
) -> None:
    async with engine_on(tmp_path, _long_or_many(), **options) as (engine, _):
        x = np.arange(length, dtype=np.float32)
        assert same(await engine.infer(x), double(x))
        with pytest.raises(InvalidInput, match="no optimization profile"):
            await engine.infer(np.zeros(49 - length, np.float32))


# -- memory ---------------------------------------------------------------------------------------


async def test_profiles_out_of_reach_cost_neither_memory_nor_contexts(tmp_path: Path) -> None:
    def activation(profile: int) -> int:
        return (32 << 20, 32 << 10)[profile == 0]

    model = batches((1, 4), (5, 4096), activation_bytes=activation)
    async with engine_on(tmp_path, model, max_batch_size=4, **JUST_LANES) as (engine, gpu):
        assert 32 << 10 <= gpu.world.device_bytes < 40 << 10
        made = gpu.context_calls["set_optimization_profile_async"]
        assert made == 4  # one per batch size, and one for shapes that are not kept warm
        assert same(await engine.infer(rows(range(6))), double(rows(range(6))))


def _up_to(longest: int) -> Callable[[dict[str, models.Shape]], models.Shape]:
    """The profile allows more than the network does."""

    def infer(shapes: dict[str, models.Shape]) -> models.Shape:
        if shapes["x"][1] > longest:
            raise RuntimeError(f"lines of {shapes['x'][1]} are too long")
        return shapes["x"]

    return infer


async def test_a_profile_whose_largest_shapes_are_refused_is_refused(tmp_path: Path) -> None:
    x = tensor("x", (-1, -1), ((1, 1), (4, 16), (4, 64)))
    y = tensor("y", (-1, -1), infer=_up_to(32))
    path = write(tmp_path, models.Model("short", [x], [y], models.host_kernel(double)))
    with doubles.install(), pytest.raises(PlanError, match=r"refuses: .*lines of 64 are too long"):
        async with open_engine(path):
            pass


def _hill() -> models.Model:
    """x[n, length] -> y[n, length * (65 - length)]: most of it in the middle of the profile."""

    def area(shapes: dict[str, models.Shape]) -> models.Shape:
        count, length = shapes["x"]
        return count, length * (65 - length)

    def run(x: Array) -> Array:
        return np.ones((len(x), x.shape[1] * (65 - x.shape[1])), np.float32)

    x = tensor("x", (-1, -1), ((1, 1), (4, 16), (4, 64)))
    y = tensor("y", (-1, -1), infer=area)
    return models.Model("hill", [x], [y], models.host_kernel(run))


async def test_an_output_is_held_against_its_memory_before_anything_is_enqueued(
    tmp_path: Path,
) -> None:
    async with engine_on(tmp_path, _hill(), max_batch_size=1, **JUST_LANES) as (engine, gpu):
        before = gpu.context_calls["execute_async_v3"]
        with pytest.raises(InferenceError, match=r"'y' has shape \(1, 1056\).*all that was"):
            await engine.infer(np.zeros(32, np.float32))
        assert gpu.context_calls["execute_async_v3"] == before
        assert (await engine.infer(np.zeros(16, np.float32))).shape == (16 * 49,)


async def test_a_shape_to_be_kept_warm_is_held_against_its_memory(tmp_path: Path) -> None:
    path = write(tmp_path, _hill())
    padding = {"x": Pad(axis=1, sizes=(16, 32))}
    with doubles.install(), pytest.raises(PlanError, match=r"'y' has shape \(1, 1056\)"):
        async with open_engine(path, max_batch_size=1, padding=padding, **JUST_LANES):
            pass


# -- a quiet opening, and one that is called off --------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [masked(), batches((1, 4), capturable=False), batches((1, 1), (8, 8))],
    ids=["impossible-corners", "no-capture", "gap"],
)
async def test_a_healthy_opening_logs_no_error(
    tmp_path: Path, model: models.Model, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with engine_on(tmp_path, model):
            pass
    assert [entry for entry in caplog.records if entry.levelno >= logging.ERROR] == []


async def test_what_tensorrt_says_of_a_bad_request_is_logged_after_a_quiet_opening(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with engine_on(tmp_path, masked()) as (engine, _):
        inputs = {"ids": np.arange(3), "mask": np.ones(5, np.int64)}
        with caplog.at_level(logging.ERROR), pytest.raises(InferenceError, match="another shape"):
            await engine.infer(inputs)
    assert "another shape" in caplog.text


@pytest.mark.parametrize("built", [0, 1, 5], ids=["first-step", "second-step", "later"])
async def test_a_cancelled_opening_ends_at_its_next_step_and_leaves_nothing(
    tmp_path: Path, built: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, steps = threading.Event(), threading.Event(), list[int]()
    real = IExecutionContext.set_optimization_profile_async

    def slow(context: IExecutionContext, *arguments: Any) -> bool:
        steps.append(1)
        if len(steps) == built + 1:
            begun.set()
            assert go.wait(PATIENCE)
        return real(context, *arguments)

    monkeypatch.setattr(IExecutionContext, "set_optimization_profile_async", slow)
    path = write(tmp_path, models.elementwise(double))

    async def opening(scope: anyio.CancelScope) -> None:
        with scope:
            async with open_engine(path, streams=3):
                raise AssertionError("it was cancelled")

    with doubles.install():  # asserts that everything was given back
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            tasks.start_soon(opening, scope)
            await to_thread.run_sync(begun.wait)
            scope.cancel()
            for _ in range(5):  # turns in which the waiting task learns of it
                await anyio.lowlevel.checkpoint()
            go.set()
        assert scope.cancelled_caught
    assert len(steps) == built + 1
