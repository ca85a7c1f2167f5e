"""Statistics are plain data: they go through asdict, pickle and JSON, and do not change."""

import json
import pickle
from dataclasses import asdict

import pytest

from support.helpers import row, rows
from trtasync import open_engine
from trtasync.testing import ScriptedBackend


@pytest.mark.anyio
async def test_statistics_are_plain_data() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        await engine.infer(row(1))
        await engine.infer(rows(range(3)))
        seen = engine.statistics()
        assert pickle.loads(pickle.dumps(seen)) == seen
        plain = asdict(seen)
        assert plain["batch_sizes"] == {1: 1, 3: 1}
        assert plain["streams"][0]["batches"] == 2
        assert json.loads(json.dumps(plain))["rows"] == 4
        plain["batch_sizes"][1] = 7
        assert seen.batch_sizes == engine.statistics().batch_sizes == {1: 1, 3: 1}
