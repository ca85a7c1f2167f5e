"""Where nothing can be written: one clear error, before the build where that is possible."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.doubles import Installed
from tests.genuine.machines import Machine
from tests.opening.crowded import no_more_files
from tests.plans.support import GATHER, contents, identity, looks_up, unfinished, words
from trtasync import BuildError, InvalidInput, build_plan, open_engine

pytestmark = pytest.mark.anyio

ROOT = os.geteuid() == 0


def _below_a_file(folder: Path) -> Path:
    (folder / "file").write_bytes(b"")
    return folder / "file" / "cache"


def _in_proc(folder: Path) -> Path:
    return Path("/proc/trtasync-cache")


def _no_rights(folder: Path) -> Path:
    (folder / "closed").mkdir(mode=0o500)
    return folder / "closed" / "cache"


PLACES = [_below_a_file, _in_proc, *([] if ROOT else [_no_rights])]
EVERYWHERE = pytest.mark.parametrize("place", PLACES)
Place = Callable[[Path], Path]


@EVERYWHERE
async def test_a_cache_that_cannot_be_written_is_an_error_before_the_build(
    machine: Machine, tmp_path: Path, place: Place
) -> None:
    cache = place(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(BuildError) as caught:
        await build_plan(GATHER, cache=cache)
    words(
        str(caught.value), str(cache), "cannot be written", "Choose another", "TRTASYNC_CACHE_DIR"
    )
    assert machine.builds.started == 0
    assert contents(tmp_path) == before


@EVERYWHERE
async def test_open_engine_says_the_same(gpu: Installed, tmp_path: Path, place: Place) -> None:
    with pytest.raises(BuildError, match="cannot be written"):
        async with open_engine(GATHER, cache=place(tmp_path)):
            pass
    assert gpu.builds.started == 0
    assert await looks_up(GATHER, cache=False)


@EVERYWHERE
@pytest.mark.parametrize("cached", [True, False])
async def test_an_output_that_cannot_be_written_is_an_error_before_the_build(
    machine: Machine, tmp_path: Path, place: Place, cached: bool
) -> None:
    output = place(tmp_path) / "m.plan"
    with pytest.raises(BuildError) as caught:
        await build_plan(GATHER, output=output, cache=cached)
    words(str(caught.value), str(output.parent), "cannot be written", "output")
    assert machine.builds.started == 0


async def test_an_output_that_is_a_folder_is_refused(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="it is a folder"):
        await build_plan(GATHER, output=tmp_path)
    assert machine.builds.started == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("where", ["cache", "output"])
async def test_a_disk_that_fails_while_it_is_written_to_is_one_clear_error(
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    where: str,
) -> None:
    def fail(file: int) -> None:
        raise OSError(number, os.strerror(number))

    options = {"cache": {"cache": tmp_path}, "output": {"output": tmp_path / "m", "cache": False}}
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(BuildError) as caught:
        await build_plan(GATHER, **options[where])  # type: ignore[arg-type]
    remedy = "Choose another" if number == errno.EIO else "Free some space"
    words(str(caught.value), "cannot be written", os.strerror(number), remedy)
    assert contents(tmp_path) == {}


async def test_a_full_disk_leaves_the_plan_that_was_there(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "m.plan"
    await build_plan(GATHER, output=output, cache=False)
    before = contents(tmp_path)

    def fail(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(BuildError, match="No space left"):
        await build_plan(identity(machine.trt), output=output, cache=False)
    assert contents(tmp_path) == before


async def test_without_descriptors_it_is_an_error_of_ours_or_done(
    gpu: Installed, tmp_path: Path
) -> None:
    """Whatever needs one more than there are left: reading, locking, writing."""
    async with open_engine(GATHER, cache=tmp_path / "before"):
        pass  # everything is imported
    problems: list[str] = []
    for left in range(6):
        folder = tmp_path / f"{left}"
        folder.mkdir()
        with no_more_files(but=left):
            for options in ({"cache": folder}, {"cache": False, "output": folder / "m.plan"}):
                try:
                    await build_plan(GATHER, **options)
                except BuildError as error:
                    problems.append(str(error))
        assert not unfinished(folder)
    assert problems
    assert all("Too many open files" in problem for problem in problems)
    assert await looks_up(GATHER, cache=tmp_path / "0")


@pytest.mark.parametrize("cache", [5, None, b"folder", ["folder"]])
async def test_what_is_no_folder_is_refused(machine: Machine, cache: object) -> None:
    with pytest.raises(InvalidInput, match="cache must be True, False, a folder's path or"):
        await build_plan(GATHER, cache=cache)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_batch_size", 0),
        ("max_batch_size", True),
        ("max_batch_size", 2.0),
        ("device", -1),
        ("cache_key", 5),
        ("progress", "yes"),
        ("output", 5),
        ("builder_config", {"tf32": False}),
        ("profiles", 5),
        ("profiles", [5]),
    ],
)
async def test_an_argument_that_makes_no_sense_is_named(
    machine: Machine, option: str, value: object
) -> None:
    with pytest.raises(InvalidInput, match=option.rstrip("s")):
        await build_plan(GATHER, **{option: value})  # type: ignore[arg-type]
    assert machine.builds.started == 0
