"""What was found of a plan's rows is kept beside it, and counts only where it is of that plan."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.doubles import Installed
from support.helpers import tensor
from tests.plans.support import contents, matrix, unfinished, words, write_matmul
from trtasync import open_engine
from trtasync.inspection import check_model
from trtasync.model.tensors import ModelSpec
from trtasync.plans.notes import MOST_NOTE_BYTES
from trtasync.plans.row_note import RowNote
from trtasync.rows import Finding, Judgement, Verdict

pytestmark = pytest.mark.anyio

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def model(gpu: Installed, tmp_path: Path) -> Path:
    return write_matmul(tmp_path / "m.onnx", matrix())


async def opened(model: Path, **options: Any) -> Judgement:
    """What an opening goes by; it takes no time if it is taken from a note."""
    async with open_engine(model, **{"check_seconds": 30, **options}) as engine:
        judgement: Judgement = engine.batching
        return judgement


def note_in(cache: Path) -> Path:
    """The only note."""
    (note,) = (cache / "plans").glob("*.rows.json")
    return note


def coupled(note: dict[str, Any]) -> None:
    note["findings"][0].update(verdict="coupled", why="as noted", beside="it")


def rewrite(note: Path, change: Change) -> None:
    known = json.loads(note.read_text())
    change(known)
    note.write_text(json.dumps(known))


async def test_rows_are_examined_once_for_two_openings(model: Path, own_cache: Path) -> None:
    first = await opened(model)
    assert first.seconds > 0
    kept = contents(own_cache)
    again = await opened(model)
    assert (again.batched, again.findings, again.seconds) == (True, first.findings, 0)
    assert contents(own_cache) == kept
    assert not unfinished(own_cache)


async def test_what_the_note_says_is_done(model: Path, own_cache: Path) -> None:
    await opened(model)
    rewrite(note_in(own_cache), coupled)
    judgement = await opened(model)
    assert not judgement.batched
    assert "is coupled (as noted)" in judgement.reason
    assert not (await opened(model, batching="proved")).batched
    assert (await opened(model, batching=True)).batched


async def test_more_time_than_the_note_had_is_used(model: Path, own_cache: Path) -> None:
    await opened(model)
    rewrite(note_in(own_cache), coupled)
    assert (await opened(model, check_seconds=31)).seconds > 0
    assert (await opened(model, check_seconds=31)).batched  # and kept in its place
    assert (await opened(model, check_seconds=29)).seconds == 0


@pytest.mark.parametrize(
    ("verdict", "took", "kept"),
    [
        (Verdict.PROVED, 0.4, True),
        (Verdict.COUPLED, 0.4, True),
        (Verdict.TESTED, 0.2, True),
        (Verdict.TESTED, 0.4, False),
        (Verdict.UNKNOWN, 0.2, False),
    ],
)
def test_what_more_time_could_change_is_not_kept(
    tmp_path: Path, verdict: Verdict, took: float, kept: bool
) -> None:
    spec = ModelSpec.from_tensors([tensor("x", "N", 4)], [tensor("y", "N", 4)])
    note = RowNote(tmp_path / "note", "0" * 64)
    judgement = Judgement(True, "", (Finding("y", verdict, 0, "why", "it", float("inf")),), took)
    note.keep(spec, False, 0.3, spec, judgement)
    found = note.find(spec, False, 0.3)
    assert found == (({"x": 0}, judgement.findings) if kept else None)


def test_a_cache_that_cannot_be_written_is_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "trtasync")
    spec = ModelSpec.from_tensors([tensor("x", "N", 4)], [tensor("y", "N", 4)])
    note = RowNote(tmp_path / "no folder" / "note", "0" * 64)
    note.keep(spec, False, 0.3, spec, Judgement(True, "", (Finding("y", Verdict.TESTED),)))
    words(caplog.text, "not kept", "no folder")
    large = RowNote(tmp_path / "large", "0" * 64)
    finding = Finding("y", Verdict.COUPLED, why="why" * MOST_NOTE_BYTES)
    large.keep(spec, False, 0.3, spec, Judgement(False, "", (finding,)))
    assert not contents(tmp_path)


async def test_other_axes_are_examined_for_themselves(model: Path, own_cache: Path) -> None:
    await opened(model)
    said = await opened(model, batch_axes={"x": 0, "y": 0})
    assert said.seconds > 0
    assert len(list((own_cache / "plans").glob("*.rows.json"))) == 2


def _of_another_algorithm(note: dict[str, Any]) -> None:
    note["of"]["algorithm"] = -1


def _of_another_plan(note: dict[str, Any]) -> None:
    note["of"]["plan"] = "0" * 64


def _without_onnx(note: dict[str, Any]) -> None:
    note["of"]["proof"] = not note["of"]["proof"]


@pytest.mark.parametrize("change", [_of_another_algorithm, _of_another_plan, _without_onnx])
async def test_a_note_of_something_else_is_ignored(
    model: Path, own_cache: Path, change: Change
) -> None:
    await opened(model)
    rewrite(note_in(own_cache), coupled)
    rewrite(note_in(own_cache), change)
    assert (await opened(model)).batched
    assert (await opened(model)).seconds == 0  # written again


def _no_verdict(note: dict[str, Any]) -> None:
    note["findings"][0]["verdict"] = "fine"


def _another_output(note: dict[str, Any]) -> None:
    note["findings"][0]["output"] = "z"


def _too_many(note: dict[str, Any]) -> None:
    note["findings"] *= 2


def _no_axis(note: dict[str, Any]) -> None:
    note["axes"]["x"] = 7


def _no_axes(note: dict[str, Any]) -> None:
    note["axes"] = []


def _no_time(note: dict[str, Any]) -> None:
    del note["seconds"]


@pytest.mark.parametrize(
    "change", [_no_verdict, _another_output, _too_many, _no_axis, _no_axes, _no_time]
)
async def test_a_damaged_note_is_ignored_and_said(
    model: Path, own_cache: Path, change: Change, caplog: pytest.LogCaptureFixture
) -> None:
    await opened(model)
    note = note_in(own_cache)
    rewrite(note, coupled)
    rewrite(note, change)
    assert (await opened(model)).batched
    words(caplog.text, note.name, "rows are checked again")
    assert (await opened(model)).seconds == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"of": 1}' + b" " * (1 << 20)],
    ids=["empty", "torn", "list", "null", "bytes", "deep", "large"],
)
async def test_what_is_no_note_is_ignored(model: Path, own_cache: Path, content: bytes) -> None:
    await opened(model)
    note_in(own_cache).write_bytes(content)
    assert (await opened(model)).batched
    assert (await opened(model)).seconds == 0


async def test_a_check_at_length_is_what_openings_go_by(model: Path, own_cache: Path) -> None:
    report = check_model(model, seconds=60)
    assert report.well
    judgement = await opened(model)
    assert (judgement.batched, judgement.seconds) == (True, 0)


async def test_without_a_cache_nothing_is_kept(model: Path, own_cache: Path) -> None:
    for _ in range(2):
        assert (await opened(model, cache=False)).seconds > 0
    assert not contents(own_cache)
