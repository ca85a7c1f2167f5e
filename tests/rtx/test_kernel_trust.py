"""Kernels are code: what is damaged, or no file of this user's, is not run."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from support.doubles.tensorrt_rtx import Made
from tests.rtx.support import VERSION, beside, in_cache, opened, told
from trtasync.plans.kernel_files import SEAL_BYTES, KernelFiles
from trtasync.runtimes.cuda import find_device
from trtasync.runtimes.plan_files import PlanFile

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kept", [b"", b"broken", b'[["Other", "8.9"], ["a kernel"]]'])
async def test_what_tensorrt_does_not_take_is_compiled_anew(
    made: Made, plan: Path, kept: bytes
) -> None:
    KernelFiles(PlanFile(plan)).save(VERSION, find_device(0), kept)
    assert len(beside(plan)) == 1
    assert await opened(plan, made) == 2
    assert await opened(plan, made) == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: kept[:-1],
        lambda kept: kept[:SEAL_BYTES],
        lambda kept: kept[: SEAL_BYTES // 2],
        lambda kept: b"",
        lambda kept: kept + b" ",
        lambda kept: kept.replace(b"4", b"5"),
    ],
    ids=["last byte", "all kernels", "half a seal", "everything", "one byte more", "other bytes"],
)
async def test_what_is_damaged_is_not_run(
    made: Made, plan: Path, damage: Callable[[bytes], bytes]
) -> None:
    await opened(plan, made)
    file = plan.parent / beside(plan)[0]
    kept = file.read_bytes()
    file.write_bytes(damage(kept))
    assert await opened(plan, made) == 2
    assert file.read_bytes() == kept


async def test_what_others_can_write_is_not_run(
    made: Made, plan: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await opened(plan, made)
    (plan.parent / beside(plan)[0]).chmod(0o666)
    assert await opened(plan, made) == 2
    assert len(told(caplog)) == 1
    assert "not used" in told(caplog)[0]
    assert "can be written by others (mode 666)" in told(caplog)[0]
    assert await opened(plan, made) == 0


def _link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "elsewhere")


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "file").touch()


@pytest.mark.parametrize("spoil", [_link, _folder, os.mkfifo])
@pytest.mark.parametrize("suffix", ["", ".lock"])
async def test_what_is_no_plain_file_is_neither_read_nor_written_through(
    made: Made, plan: Path, suffix: str, spoil: Callable[[Path], None]
) -> None:
    await opened(plan, made)
    file = plan.parent / beside(plan)[0]
    elsewhere = file.replace(plan.parent.parent / "elsewhere")
    kept = elsewhere.read_bytes()
    path = file.with_name(file.name + suffix)
    path.unlink(missing_ok=True)
    spoil(path)
    assert await opened(plan, made) == 2
    assert elsewhere.read_bytes() == kept
    assert stat.S_ISREG(file.lstat().st_mode)
    assert in_cache() == []
    assert await opened(plan, made) == 0
