"""Requests by records: what comes back is right, whatever their form."""

import time

import numpy as np
import pytest

from support.helpers import row, rows, same, tensor, until
from support.wire import form, infer, source
from tests.host.serving import scripted
from trtasync import InferenceError, InvalidInput, QueueFull, TensorSpec
from trtasync.host import answer_book
from trtasync.shared.forms import place
from trtasync.shared.records import Op, pack, parse
from trtasync.shared.refusals import restore
from trtasync.testing import ScriptedBackend

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


async def test_inputs_may_lie_in_slots_of_their_own() -> None:
    two = ScriptedBackend(
        lambda a, b: a + b, inputs=(tensor("a", "N", 4), tensor("b", "N", 4)), slots_per_lane=2
    )
    async with scripted(two) as host:
        client = host.connect()
        await client.greet()
        await client.share(4, 256)
        await client.form(0, (4,), (4,), single=False)
        for slot, at, value in ((2, 0, 3.0), (3, 64, 4.0)):
            client.memory(slot)[at : at + 16].view(np.float32)[...] = value
        client.say(source(0, 2), source(1, 3, 64), infer(1, 0))
        record, _ = await client.expect(Op.DONE)
        assert same(client.read(1, 0, record.form)[0], row(7))
        # and the next one in the same slot lies there again
        (answer,) = await client.infer(1, 0, row(1), row(2))
        assert same(answer, row(3))


async def test_a_form_that_the_model_does_not_take_is_refused_and_harms_nothing() -> None:
    async with scripted() as host:
        client = await host.client()
        client.say(form(1, (5,)))
        refusal = await client.refusal(Op.FORMED)
        assert isinstance(refusal, InvalidInput)
        assert "x" in str(refusal)
        (answer,) = await client.infer(0, 0, row(1))
        assert same(answer, row(1))


async def test_a_number_of_a_form_may_come_to_mean_another() -> None:
    async with scripted() as host:
        client = await host.client()
        await client.infer(0, 0, row(1))
        await client.form(0, (2, 4))
        (answer,) = await client.infer(0, 0, rows([1, 2]))
        assert same(answer, rows([1, 2]))


async def test_a_failing_row_fails_alone_and_says_why() -> None:
    backend = ScriptedBackend()
    backend.bad = lambda x: x[0] == 13
    async with scripted(backend) as host:
        client = await host.client()
        for slot, value in enumerate((1, 13, 2)):
            client.ask(slot, 0, row(value), generation=5)
        ended = {record.slot: (record, payload) for record, payload in await client.hear_all(3)}
        assert ended[1][0].op == Op.FAILED
        assert isinstance(restore(parse(ended[1][1])), InferenceError)
        for slot, value in ((0, 1), (2, 2)):
            assert ended[slot][0].op == Op.DONE
            assert same(client.answer(slot, 0, ended[slot][0].form)[0], row(value))


async def test_a_full_queue_refuses_at_once() -> None:
    backend = ScriptedBackend()
    backend.gate.shut()
    async with scripted(backend, max_batch_size=1, max_queue_size=2) as host:
        client = await host.client()
        for slot in range(8):
            client.ask(slot, 0, row(slot))
        assert isinstance(await client.refusal(Op.FAILED), QueueFull)
        backend.gate.let()
        ended = await client.hear_all(7)
        done = [record for record, _ in ended if record.op == Op.DONE]
        assert [record.slot for record in done] == [0, 1]
        assert all(same(client.answer(r.slot, 0, r.form)[0], row(r.slot)) for r in done)
        # slots that were refused are free
        (answer,) = await client.infer(7, 0, row(70))
        assert same(answer, row(70))


async def test_priorities_and_deadlines_are_those_of_infer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trtasync.scheduler.expired.GRACE", 3600.0)  # nobody comes so late
    backend = ScriptedBackend()
    backend.gate.shut()
    async with scripted(backend, max_batch_size=1) as host:
        client = await host.client()
        client.ask(0, 0, row(0))
        await until(lambda: backend.gate.arrived == 1)
        client.ask(1, 0, row(1), priority=9)
        client.ask(2, 0, row(2))
        client.ask(3, 0, row(3), priority=1)
        client.ask(4, 0, row(4), deadline=time.monotonic_ns())  # nobody waits for it any more
        client.say(pack(Op.ASK))
        await client.expect(Op.TOLD)
        backend.gate.let()
        await client.hear_all(4)
        assert [batch[0, 0] for batch in backend.computed] == [0, 3, 2, 1]
        client.say(pack(Op.CANCEL, 4))
        record, _ = await client.expect(Op.CANCELLED)
        assert record.slot == 4


async def test_an_answer_larger_than_its_slot_waits_to_be_taken() -> None:
    grows = ScriptedBackend(lambda x: np.repeat(x, 100, axis=1), outputs=[tensor("y", "N", None)])
    async with scripted(grows) as host:
        client = await host.client(slots=2, slot_bytes=128)
        assert client.forms[0][1] == 0  # nobody knows how large answers are
        client.ask(0, 0, row(5), generation=3)
        record, payload = await client.expect(Op.LARGE)
        assert (record.slot, record.generation, record.number) == (0, 3, 1600)
        assert parse(payload) == {"shapes": [[400]]}
        await client.share(1, 2048)
        client.say(pack(Op.TAKE, 0, 3, number=2))
        record, _ = await client.expect(Op.DONE)
        assert (record.slot, record.generation) == (0, 3)
        assert same(client.read(2, 0, record.form)[0], row(5, 400))


async def test_a_large_answer_may_be_given_up() -> None:
    grows = ScriptedBackend(lambda x: np.repeat(x, 100, axis=1), outputs=[tensor("y", "N", None)])
    limits = {"bytes_per_client": 256 + 2000}  # what is shared, and one such answer
    async with scripted(grows, limits) as host:
        client = await host.client(slots=2, slot_bytes=128)
        for generation in range(3):
            client.ask(0, 0, row(5), generation=generation)
            await client.expect(Op.LARGE)
            client.ask(1, 0, row(6))
            assert isinstance(await client.refusal(Op.FAILED), QueueFull)
            client.say(pack(Op.CANCEL, 0, generation))
            await client.expect(Op.CANCELLED)


async def test_large_answers_are_right_from_the_second_on_too() -> None:
    wide = ScriptedBackend(inputs=[tensor("x", "N", None)], outputs=[tensor("y", "N", None)])
    async with scripted(wide) as host:
        client = host.connect()
        await client.greet()
        await client.share(2, 1 << 18)
        width = 20_000  # 80 KB: lent by the engine, not copied twice
        await client.form(0, (width,))
        for value in range(3):
            (answer,) = await client.infer(0, 0, row(value, width))
            assert same(answer, row(value, width))


async def test_shared_inputs_count_by_their_values() -> None:
    scaled = ScriptedBackend(
        lambda x, factor: x * factor,
        inputs=(tensor("x", "N", 4), TensorSpec("factor", np.dtype("float32"), (1,))),
    )
    async with scripted(scaled) as host:
        client = host.connect()
        await client.greet()
        await client.share(4, 256)
        await client.form(0, (4,), (1,), single=False)
        for factor in (2, 3, 2):
            (answer,) = await client.infer(0, 0, row(5), row(factor, 1))
            assert same(answer, row(5 * factor))


async def test_what_is_said_behind_large_memory_waits_until_it_is_mapped() -> None:
    async with scripted() as host:
        client, other = host.connect(), await host.client()
        await client.greet()
        client.say(form(0, (4,)))
        await client.expect(Op.FORMED)
        client.forms[0] = (place([(4,)], [np.dtype(np.float32)]), 0)
        client.announce(16, 1 << 20)  # mapped by a thread
        client.ask(15, 0, row(9))
        await client.expect(Op.MAPPED)
        record, _ = await client.expect(Op.DONE)
        assert same(client.answer(15, 0, record.form)[0], row(9))
        assert same((await other.infer(0, 0, row(1)))[0], row(1))


async def test_numbers_of_answers_are_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_book, "MOST_SHAPES", 2)
    wide = ScriptedBackend(inputs=[tensor("x", "N", None)], outputs=[tensor("y", "N", None)])
    async with scripted(wide) as host:
        client = host.connect()
        await client.greet()
        await client.share(5, 256)
        for width in range(1, 6):
            await client.form(width - 1, (width,))
        for width in (1, 2, 1, 3, 2, 1, 4, 1, 5, 1):
            (answer,) = await client.infer(width - 1, width - 1, row(width, width))
            assert same(answer, row(width, width))
