"""Hostile clients beside one that means well; `make nightly-http` runs a million of them."""

import pytest

from tests.server.fast.hostile import hunt

CASES = 1000


@pytest.mark.anyio
async def test_a_server_survives_whatever_is_sent() -> None:
    answers = await hunt(0, CASES)
    assert answers > CASES / 2  # the attacks are understood well enough to be answered
