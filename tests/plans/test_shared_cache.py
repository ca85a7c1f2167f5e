"""A cache that one user fills and others read: its owner is named, and nobody else is trusted."""

import os
from pathlib import Path
from typing import Any

import pytest

from support.doubles import Installed
from tests.genuine.machines import Machine
from tests.plans.owners import AS_ROOT, CODE, NOBODY, umask
from tests.plans.support import GATHER, looks_up, words
from trtasync import BuildError, InvalidInput, PlanError, SharedCache, build_plan
from trtasync.plans import Plan

pytestmark = pytest.mark.anyio


def give_away(folder: Path) -> None:
    """To another user, with all that is in it."""
    for each in (folder, *folder.rglob("*")):
        os.chown(each, NOBODY, NOBODY)


def modes(folder: Path) -> set[tuple[str, str]]:
    """(suffix, mode) of all that is in it but locks."""
    found = [folder, *folder.rglob("*")]
    return {
        (each.suffix, f"{each.stat().st_mode & 0o777:o}")
        for each in found
        if each.suffix != ".lock"
    }


async def _filled(folder: Path, **options: Any) -> Plan:
    with umask(0o077):
        return await build_plan(GATHER, cache=SharedCache(folder, os.geteuid()), **options)


async def test_what_its_owner_keeps_everybody_can_read(machine: Machine, tmp_path: Path) -> None:
    await _filled(tmp_path / "shared")
    assert modes(tmp_path / "shared" / "plans") == {("", "755"), (".plan", "644"), (".json", "644")}
    assert (await _filled(tmp_path / "shared")).cached


@AS_ROOT
@pytest.mark.parametrize("owner", [NOBODY, "nobody"])
async def test_whoever_names_the_owner_is_served(
    machine: Machine, tmp_path: Path, owner: int | str
) -> None:
    await _filled(tmp_path / "shared")
    give_away(tmp_path)
    shared = SharedCache(tmp_path / "shared", owner)
    assert (await build_plan(GATHER, cache=shared)).cached
    before = modes(tmp_path / "shared")
    with pytest.raises(BuildError, match=r"this user may only read it: have its owner build it"):
        await build_plan(GATHER, max_batch_size=2, cache=shared)
    assert modes(tmp_path / "shared") == before
    assert machine.builds.started == 1


@AS_ROOT
async def test_the_code_of_its_owner_takes_leave(gpu: Installed, tmp_path: Path) -> None:
    await _filled(tmp_path / "shared", builder_config=CODE, max_batch_size=4)
    give_away(tmp_path)
    options: dict[str, Any] = {
        "builder_config": CODE,
        "cache": SharedCache(tmp_path / "shared", NOBODY),
    }
    with pytest.raises(PlanError, match=r"carries code.*engine_host_code_allowed=True"):
        await looks_up(GATHER, **options)
    assert await looks_up(GATHER, engine_host_code_allowed=True, **options)
    assert gpu.builds.started == 1


@AS_ROOT
async def test_a_third_users_files_are_not_its_owners(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = await _filled(tmp_path / "shared")
    give_away(tmp_path)
    os.chown(plan.path, 12345, 12345)
    with pytest.raises(BuildError, match="has no such plan"):
        await build_plan(GATHER, cache=SharedCache(tmp_path / "shared", NOBODY))
    words(caplog.text, ".plan belongs to user 12345")


@pytest.mark.parametrize("owner", ["nobody of this name", ""])
async def test_an_owner_who_is_not_there_is_refused(
    machine: Machine, tmp_path: Path, owner: str
) -> None:
    with pytest.raises(InvalidInput, match="there is no user"):
        await build_plan(GATHER, cache=SharedCache(tmp_path, owner))


async def test_where_there_are_no_owners_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "geteuid")
    with pytest.raises(InvalidInput, match="no POSIX owners"):
        await build_plan(GATHER, cache=SharedCache(tmp_path, "somebody"))


@pytest.mark.parametrize("owner", [None, True, -1, 1.0])
def test_an_owner_is_a_name_or_a_number(tmp_path: Path, owner: Any) -> None:
    with pytest.raises(InvalidInput, match="name or ID"):
        SharedCache(tmp_path, owner)
