"""Every engine of the benchmark of slots has as many as its cells say."""

import pytest

from benchmarks import slots

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("case", slots.CASES)
async def test_engines_have_the_slots_of_their_cells(case: str) -> None:
    opened, rows, request = slots.CASES[case]
    async with opened(rows, 5) as engine:
        await engine.infer(request)
        assert len(engine._core.policy.slots.all) == 5
