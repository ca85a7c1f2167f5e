"""Where the kernels that TensorRT for RTX compiled are kept, and when they are used again."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from support.doubles import models, tensorrt_rtx
from support.doubles.tensorrt_rtx import Made
from tests.plans.owners import AS_ROOT, NOBODY, give_away, take_owners_away
from tests.rtx.support import (
    VERSION,
    beside,
    content,
    in_cache,
    on_a_machine,
    opened,
    told,
    write,
)
from tests.tensorrt.support import double
from trtasync import PlanError, SharedCache, open_engine
from trtasync.plans import kernel_files
from trtasync.plans.kernel_files import SEAL_BYTES, KernelFiles
from trtasync.plans.locks import locked
from trtasync.runtimes.cuda import find_device
from trtasync.runtimes.plan_files import PlanFile
from trtasync.system.trust import Owner

pytestmark = pytest.mark.anyio

# -- beside the plan ------------------------------------------------------------------------------


async def test_what_was_compiled_is_kept_beside_the_plan(
    made: Made, plan: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await opened(plan, made) == 2
    assert beside(plan) == [f"{plan.name}.{VERSION}-Double_RTX-8.9.kernels"]
    file = plan.parent / beside(plan)[0]
    written = file.stat().st_mtime_ns
    assert await opened(plan, made) == 0
    assert file.stat().st_mtime_ns == written  # nothing was new
    assert in_cache() == []
    assert told(caplog) == []


@pytest.mark.parametrize(("of_plan", "of_kernels"), [(0o644, 0o644), (0o640, 0o600)])
async def test_everybody_can_read_the_kernels_if_the_plan(
    made: Made, plan: Path, of_plan: int, of_kernels: int
) -> None:
    os.chmod(plan, of_plan)
    await opened(plan, made)
    assert (plan.parent / beside(plan)[0]).stat().st_mode & 0o777 == of_kernels


async def test_without_owners_they_are_kept_all_the_same(
    made: Made, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_owners_away(monkeypatch)
    assert await opened(plan, made) == 2
    assert await opened(plan, made) == 0
    assert len(beside(plan)) == 1


async def test_every_kind_of_gpu_has_a_file_of_its_own(plan: Path) -> None:
    for gpu in ("Double RTX", "Another RTX", "Double RTX"):
        with on_a_machine(gpu=gpu, capability=(8, 9)) as made:
            compiled = await opened(plan, made)
    assert compiled == 0
    assert len(beside(plan)) == 2


async def test_plans_that_differ_by_their_suffix_share_no_file(made: Made, plan: Path) -> None:
    other = plan.with_suffix(".engine")
    other.write_bytes(content(models.elementwise(double, name="another")))
    for path in (plan, other, plan, other):
        compiled = await opened(path, made)
    assert compiled == 0
    assert len(beside(plan)) == 2


async def test_a_plan_that_was_built_again_begins_anew_in_the_same_file(
    made: Made, plan: Path
) -> None:
    await opened(plan, made)
    old = (plan.parent / beside(plan)[0]).read_bytes()
    write(plan.parent, models.elementwise(double, name="another")).replace(plan)
    assert await opened(plan, made) == 2
    assert len(beside(plan)) == 1
    new = (plan.parent / beside(plan)[0]).read_bytes()
    assert new[:SEAL_BYTES] != old[:SEAL_BYTES]
    assert b"another" in new
    assert models.elementwise(double).name.encode() not in new  # what was kept for the old one


# -- in the cache ---------------------------------------------------------------------------------


async def test_where_others_can_write_they_are_kept_in_the_cache(
    made: Made, plan: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan.parent.chmod(0o775)
    assert await opened(plan, made) == 2
    assert await opened(plan, made) == 0
    assert beside(plan) == []
    (file,) = in_cache()
    assert [each.stat().st_mode & 0o777 for each in (file.parent, file)] == [0o700, 0o600]
    assert told(caplog) == []


async def test_beside_a_plan_whose_folder_is_a_link_nothing_is_kept(
    made: Made, plan: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "link").symlink_to(plan.parent)
    assert await opened(tmp_path / "link" / plan.name, made) == 2
    assert await opened(tmp_path / "link" / plan.name, made) == 0
    assert beside(plan) == []
    assert len(in_cache()) == 1
    assert told(caplog) == []


async def test_a_cache_that_is_named_is_the_one(made: Made, plan: Path, tmp_path: Path) -> None:
    plan.parent.chmod(0o775)
    assert await opened(plan, made, cache=tmp_path / "named") == 2
    assert len(list((tmp_path / "named" / "kernels").glob("*.kernels"))) == 1
    assert in_cache() == []


async def test_a_shared_cache_is_for_plans_only(made: Made, plan: Path, tmp_path: Path) -> None:
    plan.parent.chmod(0o775)
    shared = SharedCache(tmp_path / "shared", os.geteuid())
    assert await opened(plan, made, cache=shared) == 2
    assert not (tmp_path / "shared").exists()
    assert len(in_cache()) == 1


async def test_those_of_a_plan_in_memory_are_found_again_and_no_folder_is_left(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    model = content(models.elementwise(double))
    assert await opened(model, made) == 2
    assert await opened(model, made) == 0
    assert list((tmp_path / "tmp").iterdir()) == []


@AS_ROOT
def test_what_the_owner_of_a_shared_cache_keeps_is_taken_and_ones_own_is_kept_apart(
    made: Made, plan: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpu, shared = find_device(0), PlanFile(plan, Owner(NOBODY))
    KernelFiles(PlanFile(plan)).save(VERSION, gpu, b"the owner's")
    give_away(plan.parent.parent, "*")
    assert list(KernelFiles(shared).load(VERSION, gpu)) == [b"the owner's"]
    KernelFiles(shared).save(VERSION, gpu, b"for another driver")
    again = list(KernelFiles(shared).load(VERSION, gpu))
    assert again == [b"for another driver", b"the owner's"]
    assert told(caplog) == []


@AS_ROOT
def test_root_leaves_nothing_in_the_folder_of_another_user(made: Made, plan: Path) -> None:
    give_away(plan.parent.parent, "*")
    KernelFiles(PlanFile(plan)).save(VERSION, find_device(0), b"kernels")
    assert [path.name for path in plan.parent.iterdir()] == [plan.name]
    assert len(in_cache()) == 1


# -- nowhere --------------------------------------------------------------------------------------


async def test_nothing_is_kept_where_that_is_not_wanted(
    made: Made, plan: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await opened(plan, made, cache=False) == 2
    assert beside(plan) == []
    assert in_cache() == []
    assert told(caplog) == []


async def test_without_a_place_all_goes_on_and_it_is_said_once(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, models.elementwise(double, name="n" * 230))  # no longer one would do
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", str(tmp_path / "file"))
    assert await opened(path, made) == 2
    assert len(told(caplog)) == 1
    for word in ("not kept", "name too long", str(tmp_path / "file")):
        assert word in told(caplog)[0].replace("File name", "name")
    assert await opened(path, made) == 2
    assert beside(path) == []


async def test_a_cache_of_nobodys_does_not_fail_an_opening(
    made: Made, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", "~who-is-that/cache")
    assert await opened(plan, made) == 2
    assert len(beside(plan)) == 1


async def test_what_would_not_be_read_is_not_written(
    made: Made, plan: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernel_files, "MOST_KERNEL_BYTES", 10)
    await opened(plan, made)
    assert beside(plan) == []
    assert len(told(caplog)) == 1
    assert "more than 10 bytes" in told(caplog)[0]


async def test_a_full_disk_leaves_the_kernels_that_were_there(
    made: Made, plan: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    KernelFiles(PlanFile(plan)).save(VERSION, find_device(0), b"of another driver")
    kept = (plan.parent / beside(plan)[0]).read_bytes()
    left = sorted(plan.parent.iterdir())

    def fail(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert await opened(plan, made) == 2
    assert sorted(plan.parent.iterdir()) == left
    assert (plan.parent / beside(plan)[0]).read_bytes() == kept
    assert in_cache() == []
    assert len(told(caplog)) == 1
    assert told(caplog)[0].count("No space left") == 2  # here and there


async def test_an_opening_waits_for_nobody_who_keeps_kernels(
    made: Made, plan: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "trtasync")
    await opened(plan, made)
    file = plan.parent / beside(plan)[0]
    file.unlink()
    with locked(file):
        assert await opened(plan, made) == 2
    assert beside(plan) == []
    assert in_cache() == []  # it would stand before what the other one keeps
    assert len([line for line in told(caplog, "INFO") if "another process is saving" in line]) == 1


@pytest.mark.parametrize(
    ("call", "answer"), [("create_runtime_cache", None), ("set_runtime_cache", False)]
)
async def test_without_a_cache_of_tensorrts_nothing_is_kept(
    made: Made,
    plan: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
    answer: object,
) -> None:
    monkeypatch.setattr(tensorrt_rtx.IRuntimeConfig, call, lambda *_: answer)
    async with open_engine(plan):
        pass
    assert beside(plan) == []
    assert in_cache() == []
    assert len(told(caplog)) == 1
    assert "compiled at every opening" in told(caplog)[0]


@pytest.mark.parametrize("call", ["deserialize", "serialize"])
async def test_a_cache_of_tensorrts_that_raises_does_not_fail_an_opening(
    made: Made,
    plan: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no more memory")

    KernelFiles(PlanFile(plan)).save(VERSION, find_device(0), b'[["Double RTX", "8.9"], []]')
    monkeypatch.setattr(tensorrt_rtx.IRuntimeCache, call, fail)
    assert await opened(plan, made) == 2
    (line,) = told(caplog)
    assert "not used: RuntimeError: no more memory" in line


async def test_without_a_runtime_configuration_a_plan_is_refused(
    made: Made, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_rtx.ICudaEngine, "create_runtime_config", lambda _: None)
    with pytest.raises(PlanError, match=r"RTX 1.7.1.116 created no runtime configuration"):
        await open_engine(plan)
