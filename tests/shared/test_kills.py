"""Some of what `make nightly-shared` does: workers and hosts are killed at random moments."""

from pathlib import Path

import anyio
import pytest

from tests.shared import worker
from tests.shared.kills import storm
from trtasync.shared import link, pauses


def test_whoever_is_killed_the_others_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "LONGEST_DELAY", worker.HURRY)
    monkeypatch.setattr(pauses, "LONGEST_PAUSE", worker.HURRY)
    done = anyio.run(storm, 10, folder)
    assert (done.workers_killed, len(done.back)) == (8, 2)
    assert len(done.hosts) == 3
