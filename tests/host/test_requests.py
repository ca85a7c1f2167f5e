"""Requests by records: what comes back is right, whatever their form."""

import numpy as np
import pytest

from support.helpers import row, same
from tests.host.serving import scripted

pytestmark = pytest.mark.anyio


async def test_a_bare_row_is_answered_behind_it() -> None:
    async with scripted() as host:
        client = await host.client()
        (answer,) = await client.infer(3, 0, row(7))
        assert same(answer, row(7))


async def test_answers_of_many_requests_are_each_in_their_slot() -> None:
    async with scripted() as host:
        client = await host.client()
        for slot in range(16):
            client.ask(slot, 0, row(slot), generation=slot)
        done = [(await client.hear())[0] for _ in range(16)]
        assert sorted((record.slot, record.generation) for record in done) == [
            (slot, slot) for slot in range(16)
        ]
        answers = [client.answer(record.slot, 0, record.form)[0] for record in done]
        assert all(same(each, row(record.slot)) for each, record in zip(answers, done, strict=True))


async def test_rows_and_one_row_come_back_in_their_shapes() -> None:
    async with scripted() as host:
        client = await host.client()
        await client.form(1, (3, 4))
        rows = np.arange(12, dtype=np.float32).reshape(3, 4)
        (answer,) = await client.infer(0, 1, rows)
        assert same(answer, rows)
        (answer,) = await client.infer(0, 0, rows[1])
        assert same(answer, rows[1])
