"""A plan that others put in the place of ours between the look at it and its use."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.doubles import Installed
from support.doubles.child import ROOT as REPOSITORY
from support.doubles.child import command
from tests.plans.owners import AS_ROOT, CODE, NOBODY, modes
from tests.plans.support import GATHER, looks_up, replace_plan, words
from trtasync import PlanError, build_plan

pytestmark = pytest.mark.anyio


class Deserialized(list[bytes]):
    """The plans that TensorRT was given; `before` is called first, at each."""

    def __init__(self, gpu: Installed, monkeypatch: pytest.MonkeyPatch):
        self.before: Callable[[], None] = lambda: None
        genuine = gpu.trt.Runtime.deserialize_cuda_engine

        def deserialize(runtime: Any, plan: Any) -> Any:
            self.before()
            self.append(bytes(plan))
            return genuine(runtime, plan)

        monkeypatch.setattr(gpu.trt.Runtime, "deserialize_cuda_engine", deserialize)


@pytest.fixture
def deserialized(gpu: Installed, monkeypatch: pytest.MonkeyPatch) -> Deserialized:
    """What TensorRT was given."""
    return Deserialized(gpu, monkeypatch)


def foreign(path: Path) -> None:
    """Root gives it away; others can only let others write it."""
    os.chown(path, NOBODY, NOBODY) if os.geteuid() == 0 else path.chmod(0o666)


async def _evil_plan(folder: Path) -> bytes:
    """It carries code too, and takes what gather.onnx takes."""
    plan = await build_plan(
        GATHER, builder_config=CODE, max_batch_size=2, cache=folder / "evil cache"
    )
    return plan.path.read_bytes()


async def test_a_plan_that_is_swapped_after_it_was_built_is_not_run(
    gpu: Installed,
    own_cache: Path,
    tmp_path: Path,
    deserialized: Deserialized,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evil = await _evil_plan(tmp_path)
    genuine = gpu.trt.Runtime

    class Swapping(genuine):  # type: ignore[misc, valid-type]
        """Made when the plan was looked at, and before it is opened for good."""

        def __init__(self, *arguments: Any):
            super().__init__(*arguments)
            (plan,) = own_cache.rglob("*.plan")
            plan.unlink()
            plan.write_bytes(evil)
            foreign(plan)

    monkeypatch.setattr(gpu.trt, "Runtime", Swapping)
    with pytest.raises(PlanError, match=r"belongs to user|can be written by others"):
        await looks_up(GATHER, builder_config=CODE)
    assert deserialized == []


async def test_what_is_swapped_while_tensorrt_reads_is_not_read(
    gpu: Installed, own_cache: Path, tmp_path: Path, deserialized: Deserialized
) -> None:
    evil = await _evil_plan(tmp_path)
    plan = await build_plan(GATHER, builder_config=CODE, max_batch_size=4)
    right = plan.path.read_bytes()

    def swap() -> None:
        plan.path.unlink()
        plan.path.write_bytes(evil)
        foreign(plan.path)

    deserialized.before = swap
    assert await looks_up(GATHER, builder_config=CODE)
    assert deserialized == [right]


async def test_code_is_run_only_of_plans_that_are_built_to_carry_it(
    gpu: Installed, own_cache: Path, tmp_path: Path, deserialized: Deserialized
) -> None:
    """An own plan without code is replaced by one with code: it is refused, and built again."""
    evil = await _evil_plan(tmp_path)
    plan = await build_plan(GATHER, max_batch_size=4)
    replace_plan(plan.path, evil)
    assert await looks_up(GATHER)
    assert deserialized[0] == evil  # TensorRT has refused it
    assert gpu.builds.started == 3


@AS_ROOT
@pytest.mark.stress
async def test_another_user_who_swaps_plans_all_the_time_never_gets_code_run(
    gpu: Installed, tmp_path: Path, deserialized: Deserialized
) -> None:
    """Two users for real. The cache is open to both, then only the folder of its plans is."""
    evil = await _evil_plan(tmp_path)
    plan = await build_plan(GATHER, builder_config=CODE, max_batch_size=4)
    replace_plan(plan.path, evil)
    with swapping(plan.path) as cache:
        options: dict[str, Any] = {"builder_config": CODE, "cache": cache}
        with pytest.raises(PlanError, match="cache can be written by others"):
            await looks_up(GATHER, **options)
        cache.chmod(0o755)
        for _ in range(20):
            try:
                assert await looks_up(GATHER, **options)
            except PlanError as error:
                words(str(error), "trusted")
        assert deserialized
        assert evil not in deserialized
        assert modes(cache)["folders"] == {"755", "700"}


@contextmanager
def swapping(plan: Path) -> Iterator[Path]:
    """A cache that everybody can write, in which another user puts an entry over ours."""
    with tempfile.TemporaryDirectory(prefix="trtasync-two-users-") as name:
        place = Path(name)
        (place / "evil").mkdir()
        for file in (plan, plan.with_suffix(".json")):
            shutil.copyfile(file, place / "evil" / file.name)
        for folder in (place / "cache", place / "cache" / "plans"):
            folder.mkdir()
            folder.chmod(0o777)
        place.chmod(0o755)
        target = command("tests.plans.children:swap_plans", NOBODY, place / "evil", folder)
        with subprocess.Popen(target, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as other:
            try:
                assert other.stdout is not None
                assert other.stdout.readline() == "swapping\n"
                yield place / "cache"
            finally:
                other.kill()
