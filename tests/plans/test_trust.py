"""Who could have written what is read: nothing of others is served, and no code of theirs run."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.doubles import Installed
from tests.genuine.machines import Machine
from tests.plans.owners import AS_ROOT, CODE, NOBODY, give_away, modes, take_owners_away, umask
from tests.plans.support import (
    GATHER,
    contents,
    looks_up,
    matrix,
    words,
    write_matmul,
)
from trtasync import BuildError, PlanError, build_plan
from trtasync.system.trust import NotTrusted, Owner

pytestmark = pytest.mark.anyio


# -- modes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
async def test_whatever_the_umask_nobody_else_can_write_or_read(
    gpu: Installed, own_cache: Path, mask: int, caplog: pytest.LogCaptureFixture
) -> None:
    with umask(mask):
        for _ in range(2):
            assert await looks_up(GATHER, builder_config=CODE, check_seconds=30)
    assert gpu.builds.started == 1
    assert modes(own_cache) == {"folders": {"700"}, "files": {"600"}}
    assert [name for name in contents(own_cache) if name.endswith(".rows.json")]
    assert "trust" not in caplog.text


@pytest.mark.parametrize("mask", [0o000, 0o077])
async def test_folders_on_the_way_are_made_like_the_cache_and_others_left(
    gpu: Installed, tmp_path: Path, mask: int
) -> None:
    place = tmp_path / "there"
    place.mkdir()
    place.chmod(0o755)
    with umask(mask):
        await build_plan(GATHER, cache=place / "a" / "b" / "cache")
    assert place.stat().st_mode & 0o777 == 0o755
    assert modes(place / "a") == {"folders": {"700"}, "files": {"600"}}


@pytest.mark.parametrize("mask", [0o000, 0o002])
async def test_without_a_cache_the_umask_does_not_matter_either(gpu: Installed, mask: int) -> None:
    with umask(mask):
        assert await looks_up(GATHER, builder_config=CODE, cache=False)


async def test_a_folder_of_before_is_closed_and_what_others_could_write_built_again(
    machine: Machine, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = [await build_plan(GATHER, max_batch_size=size) for size in (2, 3)]
    kept[0].path.chmod(0o664)
    (own_cache / "plans").chmod(0o775)
    again = [await build_plan(GATHER, max_batch_size=size) for size in (2, 3)]
    assert [plan.cached for plan in again] == [False, True]
    words(caplog.text, ".plan can be written by others (mode 664)", "is built again")
    assert modes(own_cache) == {"folders": {"700"}, "files": {"600"}}


async def test_a_place_where_everybody_may_add_what_is_theirs_will_do(
    machine: Machine, tmp_path: Path
) -> None:
    place = tmp_path / "like tmp"
    place.mkdir()
    place.chmod(0o1777)
    await build_plan(GATHER, cache=place)
    assert (await build_plan(GATHER, cache=place)).cached
    place.chmod(0o777)
    with pytest.raises(BuildError, match=r"like tmp can be written by others \(mode 777\)"):
        await build_plan(GATHER, cache=place)


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o664])
async def test_an_output_keeps_the_mode_of_what_it_replaces(
    machine: Machine, tmp_path: Path, mode: int
) -> None:
    output = tmp_path / "m.plan"
    for cache in (False, tmp_path / "cache"):
        output.write_bytes(b"old")
        output.chmod(mode)
        await build_plan(GATHER, output=output, cache=cache)
        assert output.stat().st_mode & 0o777 == mode
        assert output.stat().st_size > 3


async def test_a_new_output_has_the_mode_that_the_umask_says(
    machine: Machine, tmp_path: Path
) -> None:
    with umask(0o027):
        await build_plan(GATHER, output=tmp_path / "m.plan")
    assert (tmp_path / "m.plan").stat().st_mode & 0o777 == 0o640


# -- files of others ------------------------------------------------------------------------------


@AS_ROOT
@pytest.mark.parametrize("suffix", [".plan", ".json"])
async def test_an_entry_of_another_user_is_built_again(
    machine: Machine, own_cache: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    await build_plan(GATHER)
    give_away(own_cache, f"*{suffix}")
    assert not (await build_plan(GATHER)).cached
    words(caplog.text, f"{suffix} belongs to user ", "is built again")
    assert (await build_plan(GATHER)).cached


@AS_ROOT
async def test_rows_are_not_judged_by_the_note_of_another_user(
    gpu: Installed, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await looks_up(GATHER, check_seconds=30)
    give_away(own_cache, "*.rows.json")
    assert await looks_up(GATHER, check_seconds=30)
    words(caplog.text, ".rows.json belongs to user ", "rows are checked again")
    caplog.clear()
    assert await looks_up(GATHER, check_seconds=30)
    assert "belongs" not in caplog.text


@AS_ROOT
async def test_a_timing_cache_of_another_user_is_not_used(
    gpu: Installed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in range(2):
        await build_plan(write_matmul(tmp_path / "m.onnx", matrix(seed)), cache=tmp_path / "c")
        give_away(tmp_path / "c", "*.timing")
    assert gpu.builds.tactics_found == 0
    words(caplog.text, ".timing belongs to user ", "starting afresh")


@AS_ROOT
@pytest.mark.parametrize("folder", ["", "plans"])
@pytest.mark.parametrize("filled", [False, True])
async def test_a_folder_of_another_user_is_an_error_that_says_what_to_do(
    machine: Machine, own_cache: Path, folder: str, filled: bool
) -> None:
    if filled:
        await build_plan(GATHER)
    (own_cache / "plans").mkdir(parents=True, exist_ok=True)
    os.chown(own_cache / folder, NOBODY, NOBODY)
    built = machine.builds.started
    with pytest.raises(BuildError) as caught:
        await build_plan(GATHER)
    words(str(caught.value), "belongs to user ", "one of your own", "SharedCache(folder, owner)")
    assert machine.builds.started == built


async def test_a_link_in_a_folders_place_is_not_followed(machine: Machine, own_cache: Path) -> None:
    await build_plan(GATHER)
    (own_cache / "plans").rename(own_cache / "elsewhere")
    (own_cache / "plans").symlink_to(own_cache / "elsewhere")
    with pytest.raises(BuildError, match="plans is a link"):
        await build_plan(GATHER)


# -- one file, looked at by itself ----------------------------------------------------------------


def _open_to_others(folder: Path) -> None:
    folder.chmod(0o777)


def _of_another_user(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY) if os.geteuid() == 0 else folder.chmod(0o777)


def _a_link(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(folder.with_name("moved"))


@pytest.mark.parametrize("spoil", [_open_to_others, _of_another_user, _a_link])
def test_a_file_is_as_trusted_as_its_folder(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "file"
    file.write_bytes(b"ours")
    with Owner.me().open(file) as opened:
        assert opened.read() == b"ours"
    spoil(folder)
    with pytest.raises(NotTrusted, match=r"folder (can be written|belongs|is a link)"):
        Owner.me().open(file)


# -- systems without POSIX owners -----------------------------------------------------------------


@pytest.fixture
def no_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without them."""
    take_owners_away(monkeypatch)


async def test_without_owners_plans_are_kept_and_served_all_the_same(
    gpu: Installed, own_cache: Path, no_owners: None
) -> None:
    await build_plan(GATHER, max_batch_size=4)
    assert (await build_plan(GATHER, max_batch_size=4)).cached
    assert await looks_up(GATHER)
    assert gpu.builds.started == 1


async def test_without_owners_code_takes_leave_every_time(
    gpu: Installed, own_cache: Path, no_owners: None
) -> None:
    with pytest.raises(PlanError, match="engine_host_code_allowed=True"):
        await looks_up(GATHER, builder_config=CODE)
    assert await looks_up(GATHER, builder_config=CODE, engine_host_code_allowed=True)


def test_nobody_is_me_without_owners(no_owners: None) -> None:
    assert not Owner.me().is_me
