"""Measurements kept in a file: killed between any two bytes, a run goes on where it was."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.opening.crowded import no_more_files
from tests.tune.support import (
    AIM,
    FACTS,
    SPACE,
    config,
    follow_with,
    measure,
    outcome,
    state,
    whole_run,
)
from trtasync import InvalidInput
from trtasync.measure.loads import Closed, Open
from trtasync.tune import Aim, Probe, Search
from trtasync.tune.state import DEATHS, default_path


def test_killed_anywhere_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    first, count = whole_run(path)
    data = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(data) if byte == ord("\n")]
    assert len(ends) == 1 + 2 * count
    for number, end in enumerate(ends):
        torn = (0, 1, 30)[number % 3]  # between two lines, or within the next
        path.write_bytes(data[: end + torn])
        again, measured = whole_run(path)
        lines = data[:end].splitlines()
        kept = sum(b'"end"' in line and b'"failure":""' in line for line in lines)
        assert measured == count - kept, (number, torn)
        assert again.results == first.results
        assert again.verdict() == first.verdict()
        for line in path.read_bytes().splitlines():
            json.loads(line)


def test_a_file_cut_within_its_first_line_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    _, count = whole_run(path)
    data = path.read_bytes()
    for cut in (0, 1, 10, 40, data.index(b"\n")):
        path.write_bytes(data[:cut])
        assert whole_run(path)[1] == count
    assert path.read_bytes() == data


def test_a_whole_run_measures_nothing_again_but_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    first, _ = whole_run(path)
    broken = sum(bool(each.outcome.failure) for each in first.results)
    assert broken
    again, measured = whole_run(path)
    assert measured == broken
    assert again.verdict() == first.verdict()


def test_fresh_forgets(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    _, count = whole_run(path)
    with state(path, fresh=True) as kept:
        assert kept.known == 0
        assert follow_with(kept, Search(SPACE, AIM, config()), measure) == count


def test_another_goal_uses_what_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    whole_run(path)
    search = Search(SPACE, Aim(budget=70), config())
    with state(path) as kept:
        assert follow_with(kept, search, measure) < len(search.results)


@pytest.mark.parametrize(
    "change", [{"model": "abd"}, {"versions numpy": "2.1"}, {"machine": "other"}]
)
def test_another_model_version_or_machine_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "state.jsonl"
    whole_run(path)
    data = path.read_bytes()
    (name,) = change
    with pytest.raises(InvalidInput, match=rf"something else \({name}: .*, now .*fresh"):
        state(path, {**FACTS, **change}).__enter__()
    assert path.read_bytes() == data
    with state(path, {**FACTS, **change}, fresh=True) as kept:
        assert kept.find(Probe(config(), AIM.filling(config()))) is None


def test_paths_differ_by_model_and_facts() -> None:
    paths = {
        default_path("m.onnx", FACTS),
        default_path("other/n.onnx", FACTS),
        default_path("m.onnx", {**FACTS, "model": "abd"}),
        default_path("m.onnx", {**FACTS, "machine": "other"}),
    }
    assert len(paths) == 4
    assert None not in paths
    assert default_path("m.onnx", FACTS) == default_path("x/m.onnx", dict(FACTS))


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    for text in ("my notes\n", "{}\n", "no newline"):
        path.write_text(text)
        for fresh in (False, True):
            with pytest.raises(InvalidInput, match="is left alone"):
                state(path, fresh=fresh).__enter__()
        assert path.read_text() == text


def test_a_line_in_the_middle_that_cannot_be_read_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.jsonl"
    first, count = whole_run(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"\x00" * 20 + b"\n"
    path.write_bytes(b"".join(lines))
    again, measured = whole_run(path)
    assert "line 3 cannot be read" in caplog.text
    broken = sum(bool(each.outcome.failure) for each in first.results)
    assert measured == broken + 1
    assert again.results == first.results
    assert count > measured


def test_what_kills_the_process_twice_is_given_up(tmp_path: Path) -> None:
    path, probe = tmp_path / "state.jsonl", Probe(config(), Closed(8))
    for _ in range(DEATHS):
        with state(path) as kept:
            assert kept.find(probe) is None
            kept.begin(probe)
    with state(path) as kept:
        found = kept.find(probe)
    assert found is not None
    assert "killed 2 times" in found.failure


def test_an_interruption_says_nothing_against_a_measurement(tmp_path: Path) -> None:
    path, probe = tmp_path / "state.jsonl", Probe(config(), Open(50.0), 2)
    for _ in range(5):
        with state(path) as kept:
            assert kept.find(probe) is None
            kept.begin(probe)
            kept.drop(probe)
    with state(path) as kept:
        kept.begin(probe)
        kept.end(probe, outcome(49.0))
    with state(path) as kept:
        assert kept.find(probe) == outcome(49.0)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    with state(path), pytest.raises(InvalidInput, match="another process is tuning"):
        state(path).__enter__()


def test_a_place_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "state.jsonl"
    with pytest.raises(InvalidInput, match=r"cannot be written: .* Name another file"):
        state(path).__enter__()
    with state(path, given=False) as kept:  # nobody asked for it: do without
        assert kept.path is None
        kept.begin(Probe(config(), Closed(1)))
    assert "measurements are not kept" in caplog.text


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Files of so many bytes at most: the same to a writer as a disk that is full."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_disk_that_fills_up_ends_no_run(
    tmp_path: Path, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on without being kept; the next run begins with what there was room for."""
    path = tmp_path / "state.jsonl"
    search, count = whole_run(path)
    room = int(share * path.stat().st_size)
    path.unlink()
    with files_up_to(room):
        again, measured = whole_run(path)
    assert (again.verdict(), measured) == (search.verdict(), count)
    assert caplog.text.count("from here on nothing is kept: ") == 1
    assert path.stat().st_size == room
    again, measured = whole_run(path)
    assert again.verdict() == search.verdict()
    assert measured < count
    assert path.read_bytes().endswith(b"\n")


def test_a_disk_that_is_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "state.jsonl"
    for room in (0, 10):
        with files_up_to(room):
            with pytest.raises(InvalidInput, match=r"cannot be written: .* Name another file"):
                state(path).__enter__()
            with state(path, given=False) as kept:
                assert kept.path is None
    assert caplog.text.count("measurements are not kept") == 2


def test_without_descriptors(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    for left in range(3):
        with no_more_files(but=left):
            try:
                whole_run(path)
            except InvalidInput as error:
                words = str(error)
        assert words.count("Too many open files. ") == words.count("cannot be written") == 1


def test_nothing_is_kept_without_a_file() -> None:
    probe = Probe(config(), Closed(1))
    with state(None) as kept:
        kept.begin(probe)
        kept.end(probe, outcome(1.0))
        assert kept.find(probe) is None
