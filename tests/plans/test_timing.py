"""Timing caches: what one build has measured, the next need not. None of it may fail a build."""

import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from support import doubles
from support.doubles import Installed
from support.helpers import PATIENCE
from tests.plans.support import (
    ELEVEN,
    GATHER,
    TEN,
    contents,
    elsewhere,
    identity,
    looks_up,
    matrix,
    words,
    write_matmul,
)
from trtasync import BuilderConfig, build_plan
from trtasync.plans.locks import locked

pytestmark = pytest.mark.anyio


def model_of(folder: Path, seed: int = 0) -> Path:
    """Of the same layers, whatever the seed: only the weights differ."""
    return write_matmul(folder / f"m{seed}.onnx", matrix(seed))


def timing_files(cache: Path) -> list[Path]:
    """Those that are kept."""
    return sorted((cache / "timing").glob("*.timing"))


async def test_what_was_measured_is_not_measured_again(gpu: Installed, tmp_path: Path) -> None:
    await build_plan(model_of(tmp_path, 0), cache=tmp_path)
    timed = gpu.builds.tactics_timed
    assert (timed > 0, gpu.builds.tactics_found) == (True, 0)
    await build_plan(model_of(tmp_path, 1), cache=tmp_path)
    assert (gpu.builds.tactics_timed, gpu.builds.tactics_found) == (timed, timed)


async def test_it_can_be_left_out(gpu: Installed, tmp_path: Path) -> None:
    for seed in range(2):
        config = BuilderConfig(timing_cache=False)
        await build_plan(model_of(tmp_path, seed), cache=tmp_path, builder_config=config)
    assert gpu.builds.tactics_found == 0
    assert timing_files(tmp_path) == []


async def test_without_a_plan_cache_there_is_none(gpu: Installed, tmp_path: Path) -> None:
    for seed in range(2):
        model = model_of(tmp_path, seed)
        await build_plan(model, cache=False, output=tmp_path / "out" / "m.plan")
    assert gpu.builds.tactics_found == 0
    assert [*contents(tmp_path / "out")] == ["m.plan"]


async def test_each_version_and_gpu_has_its_own(tmp_path: Path) -> None:
    machines: list[dict[str, Any]] = [
        {"version": ELEVEN},
        {"version": TEN},
        {"gpu": "NVIDIA H100 80GB / PCIe"},
        {"capability": (8, 9)},
    ]
    for machine in machines:
        for seed in range(2):
            with doubles.install(**machine) as gpu:
                await build_plan(model_of(tmp_path, seed), cache=tmp_path)
                assert (gpu.builds.tactics_found > 0) is (seed == 1)
    names = {path.name for path in timing_files(tmp_path)}
    assert len(names) == len(machines)
    assert any("10.16.1.11" in name for name in names)


async def test_builds_at_the_same_time_keep_what_all_of_them_measured(
    gpu: Installed, tmp_path: Path
) -> None:
    models = {n: write_matmul(tmp_path / f"{n}.onnx", matrix(0, n, n)) for n in range(3, 7)}
    async with anyio.create_task_group() as tasks:
        with gpu.builds.gate.held():
            for model in models.values():
                tasks.start_soon(partial(build_plan, model, cache=tmp_path))
            await anyio.to_thread.run_sync(gpu.builds.gate.wait_for_build, len(models))
    timed, found = gpu.builds.tactics_timed, gpu.builds.tactics_found
    for n in models:
        await build_plan(write_matmul(tmp_path / f"again{n}.onnx", matrix(1, n, n)), cache=tmp_path)
    assert gpu.builds.tactics_timed == timed
    assert gpu.builds.tactics_found == found + timed


def _corrupt(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def _nonsense(file: Path) -> None:
    file.write_bytes(b"nonsense")


def _endless(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def _huge(file: Path) -> None:
    os.truncate(file, 1 << 40)


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _folder(file: Path) -> None:
    file.unlink()
    (file / "sub").mkdir(parents=True)


def _others_can_write_it(file: Path) -> None:
    file.chmod(0o666)


TENSORRTS_OWN = "Failed to deserialize timing cache. Returning an empty timing cache."
HOSTILE = [_endless, _huge, _pipe, _folder, _others_can_write_it]


def _of_another_version(file: Path) -> None:
    (other,) = (path for path in file.parent.glob("*.timing") if path != file)
    file.write_bytes(other.read_bytes())


@pytest.mark.parametrize(
    ("damage", "warning"),
    [
        *((damage, TENSORRTS_OWN) for damage in (_corrupt, _truncated, _nonsense)),
        *((damage, "starting afresh") for damage in (_of_another_version, *HOSTILE)),
    ],
)
async def test_a_damaged_one_is_a_warning_and_begun_anew(
    tmp_path: Path,
    damage: Callable[[Path], None],
    warning: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for version in (TEN, ELEVEN):
        with doubles.install(version=version):
            await build_plan(model_of(tmp_path, 0), cache=tmp_path)
    with doubles.install(version=ELEVEN) as gpu:
        (file,) = (path for path in timing_files(tmp_path) if "11.4" in path.name)
        damage(file)
        await build_plan(model_of(tmp_path, 1), cache=tmp_path)
        words(caplog.text, warning)
        assert caplog.text.count("starting afresh") <= 1
        assert gpu.builds.tactics_found == 0
        await build_plan(model_of(tmp_path, 2), cache=tmp_path)
        assert gpu.builds.tactics_found > 0


async def test_an_empty_one_is_as_good_as_none(
    gpu: Installed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await build_plan(model_of(tmp_path, 0), cache=tmp_path)
    timing_files(tmp_path)[0].write_bytes(b"")
    await build_plan(model_of(tmp_path, 1), cache=tmp_path)
    await build_plan(model_of(tmp_path, 2), cache=tmp_path)
    assert gpu.builds.tactics_found > 0


async def test_one_that_cannot_be_written_is_a_warning_only(
    gpu: Installed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "trtasync")
    (tmp_path / "timing").write_bytes(b"a file, where a folder should be")
    plan = await build_plan(model_of(tmp_path), cache=tmp_path)
    assert (await build_plan(model_of(tmp_path), cache=tmp_path)).path == plan.path
    assert gpu.builds.finished == 1
    words(caplog.text, "the timing cache was not kept")


async def test_a_function_that_is_not_kept_needs_no_cache_that_can_be_written(
    gpu: Installed, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    plan = await build_plan(
        identity(gpu.trt), cache=tmp_path / "file" / "cache", output=tmp_path / "m.plan"
    )
    assert plan.path == tmp_path / "m.plan"
    assert await looks_up(GATHER)


async def test_while_somebody_else_writes_it_a_build_waits(gpu: Installed, tmp_path: Path) -> None:
    await build_plan(model_of(tmp_path, 0), cache=tmp_path)
    (file,) = timing_files(tmp_path)
    let, done = threading.Event(), threading.Event()

    def hold(begun: threading.Event) -> None:
        with locked(file):
            begun.set()
            assert let.wait(PATIENCE)
            assert not done.is_set()

    with elsewhere(hold):
        async with anyio.create_task_group() as tasks:

            async def build() -> None:
                await build_plan(model_of(tmp_path, 1), cache=tmp_path)
                done.set()

            tasks.start_soon(build)
            while gpu.builds.finished < 2:  # noqa: ASYNC110 - what is waited for sets no event
                await anyio.sleep(0.001)
            let.set()
    assert done.is_set()
