"""Files of models: when they have changed, and are there as a whole."""

from pathlib import Path

import pytest

from tests.server.program.serving import times
from trtasync.server.program.opening import Manner, Source
from trtasync.server.program.settings import EngineSettings, Served
from trtasync.tracing.exporting import Tracing

pytestmark = pytest.mark.anyio


async def test_what_changes_is_new_when_two_looks_agree(tmp_path: Path) -> None:
    path = times(tmp_path, 2)
    source = Source(Served("m", 1, str(path), EngineSettings()), Manner(False, None, Tracing(None)))
    await (await source.open()).aclose()
    assert not await source.has_changed()
    whole = times(tmp_path, 3, "other").read_bytes()
    for length in (0, 1, 40, len(whole)):
        path.write_bytes(whole[:length])
        assert not await source.has_changed()
    assert await source.has_changed()
    await (await source.open()).aclose()
    assert not await source.has_changed()
    path.unlink()
    assert [await source.has_changed() for _ in range(2)] == [False, True]
