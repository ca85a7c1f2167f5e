"""Files of measurements that others made, or that anything has happened to."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from tests.tune.support import config, outcome, state, whole_run
from trtasync import InvalidInput
from trtasync.measure.loads import Closed
from trtasync.tune import Probe


def test_it_is_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    before = os.umask(0o000)
    try:
        _, count = whole_run(path)
        assert whole_run(path)[1] < count
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def _others_can_write_it(path: Path) -> None:
    path.chmod(0o664)


def _of_another_user(path: Path) -> None:
    os.chown(path, 65534, 65534) if os.geteuid() == 0 else path.chmod(0o666)


def _link(path: Path) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to(path.with_name("other"))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_others_can_write_it, r"can be written by others \(mode 664\)"),
        (_of_another_user, "belongs to user|can be written by others"),
        (_link, "is a link"),
        (_pipe, "no plain file"),
        (_endless, "is a link"),
        (_huge, "not a file of measurements"),
    ],
)
def test_what_is_not_trusted_is_refused_or_done_without(
    tmp_path: Path, spoil: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.jsonl"
    whole_run(path)
    spoil(path)
    with pytest.raises(InvalidInput, match=why):
        state(path).__enter__()
    if spoil is not _huge:
        with state(path, given=False) as kept:
            assert kept.path is None
        assert "measurements are not kept" in caplog.text


def test_a_users_own_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "tune"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with state(folder / "state.jsonl", given=False) as kept:
        assert kept.path is not None
    assert folder.stat().st_mode & 0o777 == 0o700


HOSTILE_LINES = [
    "[" * 100_000,
    '{"end":' * 100_000,
    '{"end": 7}',
    '{"begin": {"config": {"streams": [1]}, "closed": {"concurrency": 1}, "turn": 0}}',
    json.dumps({"end": {"config": 5}, "outcome": {}}),
]


@pytest.mark.parametrize(
    "seconds",
    [10**400, "many", None, math.inf, math.nan, [1]],
    ids=["400 digits", "text", "nothing", "endless", "nan", "list"],
)
def test_lines_that_mean_harm_are_left_out_in_one_line_of_the_log(
    tmp_path: Path, seconds: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path, probe = tmp_path / "state.jsonl", Probe(config(), Closed(8))
    with state(path) as kept:
        kept.begin(probe)
        kept.end(probe, outcome(1.0))
    lines = path.read_text().splitlines()
    spoiled = json.loads(lines[-1])
    spoiled["outcome"]["seconds"] = seconds
    path.write_text("\n".join([*lines[:-1], json.dumps(spoiled), *HOSTILE_LINES, ""]))
    with state(path) as kept:
        assert kept.known == 0
    assert caplog.text.count("cannot be read and is left out") == 1
    assert "and 5 more" in caplog.text
