"""A cache that somebody or something has damaged gives right plans all the same."""

import json
import logging
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from support.doubles import Installed
from support.helpers import PATIENCE
from tests.genuine.machines import Machine
from tests.plans.support import (
    GATHER,
    contents,
    elsewhere,
    looks_up,
    matrix,
    note_of,
    unfinished,
    words,
    write_matmul,
)
from trtasync import build_plan
from trtasync.plans.files import remove_unfinished
from trtasync.plans.locks import locked
from trtasync.system.atomic_files import unfinished_name

Spoil = Callable[[Path], None]

pytestmark = pytest.mark.anyio


def _flip_a_bit(plan: Path, other: Path) -> None:
    content = bytearray(plan.read_bytes())
    content[len(content) // 2] ^= 4
    plan.write_bytes(content)


def _truncate(plan: Path, other: Path) -> None:
    plan.write_bytes(plan.read_bytes()[:-1])


def _append(plan: Path, other: Path) -> None:
    plan.write_bytes(plan.read_bytes() + b"\0")


def _empty(plan: Path, other: Path) -> None:
    plan.write_bytes(b"")


def _remove_the_plan(plan: Path, other: Path) -> None:
    plan.unlink()


def _plan_of_another(plan: Path, other: Path) -> None:
    plan.write_bytes(other.read_bytes())


def _note_of_another(plan: Path, other: Path) -> None:
    plan.with_suffix(".json").write_bytes(other.with_suffix(".json").read_bytes())


def _all_of_another(plan: Path, other: Path) -> None:
    _plan_of_another(plan, other)
    _note_of_another(plan, other)


def _note_is(text: str) -> Callable[[Path, Path], None]:
    def damage(plan: Path, other: Path) -> None:
        plan.with_suffix(".json").write_text(text)

    return damage


def _note_with(**changed: object) -> Callable[[Path, Path], None]:
    def damage(plan: Path, other: Path) -> None:
        plan.with_suffix(".json").write_text(json.dumps({**note_of(plan), **changed}))

    return damage


def _note_of_bytes(plan: Path, other: Path) -> None:
    plan.with_suffix(".json").write_bytes(b"\xff\xfe\0\x81")


def _note_as(spoil: Spoil) -> Callable[[Path, Path], None]:
    return lambda plan, other: spoil(plan.with_suffix(".json"))


def _plan_as(spoil: Spoil) -> Callable[[Path, Path], None]:
    return lambda plan, other: spoil(plan)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    (path / "sub").mkdir(parents=True)


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _link_to_itself_elsewhere(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def _huge(path: Path) -> None:
    os.truncate(path, 1 << 40)


def _others_can_write_it(path: Path) -> None:
    path.chmod(0o666)


SPOILS = [_pipe, _folder, _endless, _link_to_itself_elsewhere, _huge, _others_can_write_it]


DAMAGE: dict[str, Callable[[Path, Path], None]] = {
    "a bit of the plan": _flip_a_bit,
    "its end is missing": _truncate,
    "it is longer": _append,
    "it is empty": _empty,
    "it is gone": _remove_the_plan,
    "it is another's": _plan_of_another,
    "the note is another's": _note_of_another,
    "both are another's": _all_of_another,
    "the note is empty": _note_is(""),
    "the note has lists in lists": _note_is("[" * 100_000),
    "the note is no JSON": _note_is("{ 'sha256': "),
    "the note is no text": _note_of_bytes,
    "the note is a list": _note_is("[1, 2]"),
    "the note is a number": _note_is("7"),
    "the note is an empty object": _note_is("{}"),
    "the note has another checksum": _note_with(sha256="0" * 64),
    "the note has another size": _note_with(bytes=1),
    "the note has no facts": _note_with(facts=5),
    "the note has other facts": _note_with(facts={}),
    "the note has no seconds": _note_with(seconds="many"),
    "the note has a number of 400 digits": _note_with(seconds=10**400),
    "the note has an endless number": _note_with(seconds=math.inf),
    "the note is of lists in lists": _note_is("[" * 500_000),
    "the note is of objects in objects": _note_is('{"a":' * 100_000),
    "the note has facts within facts": _note_is('{"facts":' + '{"a":' * 900 + "1" + "}" * 901),
    **{f"the note is a {spoil.__name__}": _note_as(spoil) for spoil in SPOILS},
    **{f"the plan is a {spoil.__name__}": _plan_as(spoil) for spoil in SPOILS},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_a_damaged_entry_is_built_again_with_a_line_in_the_log(
    gpu: Installed,
    own_cache: Path,
    tmp_path: Path,
    damage: Callable[[Path, Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = await build_plan(write_matmul(tmp_path / "m.onnx", matrix()))
    plan = await build_plan(GATHER, max_batch_size=4)
    damage(plan.path, other.path)
    caplog.set_level(logging.WARNING, "trtasync")
    again = await build_plan(GATHER, max_batch_size=4)
    assert (again.cached, gpu.builds.started) == (False, 3)
    words(caplog.text, plan.key, "is built again")
    assert caplog.text.count("is built again") == 1
    assert await looks_up(again)
    caplog.clear()
    assert (await build_plan(GATHER, max_batch_size=4)).cached
    assert not caplog.records


async def test_a_plan_without_its_note_is_not_served(gpu: Installed, own_cache: Path) -> None:
    plan = await build_plan(GATHER, max_batch_size=4)
    plan.path.with_suffix(".json").unlink()
    plan.path.write_bytes(b"half of a pl")
    again = await build_plan(GATHER, max_batch_size=4)
    assert not again.cached
    assert await looks_up(again)


async def test_what_killed_writers_left_behind_is_removed(gpu: Installed, own_cache: Path) -> None:
    plan = await build_plan(GATHER, max_batch_size=4)
    note = plan.path.with_suffix(".json")
    for path in (plan.path, note):
        unfinished_name(path).write_bytes(b"half")
    note.unlink()
    assert await looks_up(await build_plan(GATHER, max_batch_size=4))
    assert unfinished(own_cache) == []


async def test_what_others_are_writing_is_left_alone(machine: Machine, own_cache: Path) -> None:
    foreign = own_cache / "plans" / f"{'0' * 64}.plan.abc.tmp"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"half")
    await build_plan(GATHER)
    assert unfinished(own_cache) == [f"plans/{foreign.name}"]


def test_only_what_writers_of_this_file_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "model[1].plan"
    aside = unfinished_name(path)  # what was there instead of a file
    (aside / "kept").mkdir(parents=True)
    for _ in range(3):
        unfinished_name(path).touch()
    of_others = [unfinished_name(tmp_path / name) for name in ("model1.plan", f"{path.name}.lock")]
    for each in of_others:
        each.touch()
    remove_unfinished(path)
    assert sorted(tmp_path.iterdir()) == sorted([aside, *of_others])


async def test_a_reader_takes_no_lock(gpu: Installed, own_cache: Path) -> None:
    plan = await build_plan(GATHER, max_batch_size=4)
    let = threading.Event()

    def hold(begun: threading.Event) -> None:
        with locked(plan.path):
            begun.set()
            assert let.wait(PATIENCE)

    with elsewhere(hold):
        try:
            assert (await build_plan(GATHER, max_batch_size=4)).cached
            assert await looks_up(GATHER)
        finally:
            let.set()


async def test_a_reader_writes_nothing(gpu: Installed, own_cache: Path) -> None:
    assert await looks_up(GATHER, check_seconds=30)
    _remove_locks(own_cache)
    before = _state(own_cache)
    assert await looks_up(GATHER, check_seconds=30)
    assert _state(own_cache) == before


def _remove_locks(folder: Path) -> None:
    for lock in folder.rglob("*.lock"):
        lock.unlink()


def _state(folder: Path) -> list[tuple[str, int, int, int]]:
    """Names, and all that says that something was written."""
    stats = [(str(path), path.stat()) for path in sorted(folder.rglob("*"))]
    return [(name, s.st_ino, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats]


async def test_an_output_can_be_had_of_a_cache_that_cannot_be_written(
    machine: Machine, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await build_plan(GATHER)
    for path in (own_cache / "plans", own_cache):
        path.chmod(0o500)
    try:
        copy = await build_plan(GATHER, output=tmp_path / "m.plan")
        assert copy.cached
        assert copy.path.read_bytes() == contents(own_cache)[f"plans/{plan.path.name}"]
    finally:
        for path in (own_cache, own_cache / "plans"):
            path.chmod(0o700)


# -- locks ----------------------------------------------------------------------------------------


def _lock_is_a_link(lock: Path) -> None:
    lock.symlink_to(lock.parents[2] / "precious")


def _lock_is_a_pipe(lock: Path) -> None:
    os.mkfifo(lock)


def _lock_is_a_folder(lock: Path) -> None:
    (lock / "sub").mkdir(parents=True)


@pytest.mark.parametrize("spoil", [_lock_is_a_link, _lock_is_a_pipe, _lock_is_a_folder])
async def test_a_lock_that_is_no_plain_file_is_taken_away(
    gpu: Installed, own_cache: Path, spoil: Spoil, caplog: pytest.LogCaptureFixture
) -> None:
    precious = own_cache.parent / "precious"
    precious.write_bytes(b"not ours")
    plan = await build_plan(GATHER, max_batch_size=4)
    lock = plan.path.with_name(f"{plan.path.name}.lock")
    lock.unlink()
    spoil(lock)
    plan.path.unlink()
    assert not (await build_plan(GATHER, max_batch_size=4)).cached
    assert precious.read_bytes() == b"not ours"
    words(caplog.text, str(lock), "not a regular file; removed")
    assert await looks_up(GATHER)
