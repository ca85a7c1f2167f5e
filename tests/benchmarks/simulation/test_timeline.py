"""The picture of the README shows what the policy does."""

import pytest

from benchmarks.simulation.scenarios import MS
from benchmarks.simulation.timeline import CROWDS, PICTURE, Block, batches, drawn


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    return batches()


def test_the_committed_picture_is_the_policys(blocks: list[Block]) -> None:
    assert PICTURE.read_text(encoding="utf-8") == drawn(blocks)


def test_it_shows_what_it_says(blocks: list[Block]) -> None:
    """Alone at once; batches that grow while the device is busy; full ones in a crowd."""
    asked = [[request.born / MS for request in block.launch.requests] for block in blocks]
    assert sum(map(len, asked)) == sum(count for _, count, _ in CROWDS)
    assert asked[0] == [pytest.approx(blocks[0].begin)]
    crowded = [len(each) for each in asked if each[0] > CROWDS[-1][0]]
    assert max(crowded) == 16
    assert max(len(each) for each in asked if each[0] < CROWDS[-1][0]) > 4
