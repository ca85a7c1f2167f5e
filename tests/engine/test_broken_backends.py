"""A backend that keeps no promise fails its own batches only."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from support.helpers import (
    Array,
    check_at_rest,
    hold,
    opened,
    row,
    rows,
    same,
    start,
    submit,
    submit_all,
    tensor,
    until,
)
from tests.engine.models import X
from trtasync import InferenceError, TrtasyncError, open_engine
from trtasync.runtimes import OpenLane, Times
from trtasync.runtimes.function import FunctionBackend, FunctionLane
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


class _OddError(InferenceError):
    """An exception that cannot be made from its args."""

    def __init__(self, code: int, text: str):
        super().__init__(f"{code}: {text}")


async def test_an_exception_of_a_backend_s_own_class_reaches_the_caller() -> None:
    def fail(x: Array) -> Array:
        raise _OddError(7, "no")

    backend = FunctionBackend(fail, inputs=[X], outputs=[tensor("y", "N", 4)])
    async with open_engine(backend) as engine:
        for _ in range(3):
            with pytest.raises(InferenceError, match="7: no"):
                await engine.infer(row(1))


@pytest.mark.parametrize("results", [0, 1, 3])
async def test_a_wrong_number_of_outputs_fails_the_request_only(results: int) -> None:
    backend = FunctionBackend(
        lambda x: [x] * (2 if x[0, 0] else results),
        inputs=[X],
        outputs=[tensor("y", "N", 4), tensor("z", "N", 4)],
    )
    async with open_engine(backend) as engine:
        for _ in range(2):
            with pytest.raises(InferenceError, match="2 outputs"):
                await engine.infer(row(0))
            assert list(await engine.infer(row(1))) == ["y", "z"]


async def test_outputs_with_too_few_or_too_many_rows_are_those_of_a_request_by_itself() -> None:
    def function(x: Array) -> Array:
        return {0: x, 1: x[1:], 2: np.concatenate([x, x]), 3: np.float32(3) * np.ones(())}[
            int(x[0, 0])
        ]

    backend = FunctionBackend(function, inputs=[X], outputs=[tensor("y", "N", 4)])
    async with open_engine(backend) as engine:
        for value in (1, 2, 3):
            answer = await engine.infer(rows([value]))
            assert same(answer, function(rows([value])))
            with pytest.raises(InferenceError, match="cannot be told apart"):
                await engine.infer(row(value))  # one row has one answer
            assert same(await engine.infer(row(0)), row(0))


class _Broken(ScriptedBackend):
    """Breaks a promise of the seam, in every batch that needs it kept."""

    broken = ""

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        lanes = super().open(streams, max_batch_size, batch_sizes)
        for lane in lanes:
            if self.broken == "outputs":
                vars(lane.lane)["wait"] = partial(self._forget, lane.lane)
            for slot in lane.slots:
                if self.broken in ("pad", "move"):
                    vars(slot)[self.broken] = self._raise
        return lanes

    def _raise(self, *_: object) -> None:
        raise RuntimeError("this part is broken")

    def _forget(self, lane: Any, slot: Any) -> Times:
        times = FunctionLane.wait(lane, slot)
        slot.outputs = []
        return times


@pytest.mark.parametrize("broken", ["pad", "move", "outputs"])
@pytest.mark.parametrize("loop_budget", [0.0, 60.0])
async def test_a_backend_that_breaks_a_promise_fails_its_batches(
    broken: str, loop_budget: float
) -> None:
    backend = _Broken()
    backend.broken = broken
    async with opened(backend, batch_sizes=[4], loop_budget=loop_budget) as engine:
        async with anyio.create_task_group() as tasks:
            backend.gate.shut()
            first = await submit(tasks, engine, rows([1, 2, 3, 4]))
            await until(lambda: backend.gate.arrived == 1)
            second, third = await submit_all(tasks, engine, [5, 6])
            waits = await submit(tasks, engine, rows(range(9)))
            second.scope.cancel()
            backend.gate.let()
        assert (first.error is None) is (broken != "outputs")
        # with "pad" the third still went, in a full batch; with "move" what waits had no withdrawn
        failed = {"pad": [waits], "move": [third], "outputs": [third, waits]}[broken]
        assert all(isinstance(caller.error, InferenceError) for caller in failed)
        if broken == "outputs":
            with pytest.raises(InferenceError, match="could not be handed out"):
                await engine.infer(rows(range(4)))
        else:
            assert same(await engine.infer(rows(range(4))), rows(range(4)))
        check_at_rest(engine)


async def test_a_bug_fails_callers_and_hangs_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    backend = ScriptedBackend()
    async with opened(backend) as engine:
        async with anyio.create_task_group() as tasks:
            first = await hold(tasks, engine, backend)
            second, third = await submit_all(tasks, engine, [5, 6])
            monkeypatch.setattr(engine._core.policy, "finished", _raise_bug)
            second.scope.cancel()
            backend.gate.let()
        assert same(first.answer, row(-1))
        assert "please report" in str(third.error)
        assert "please report" in caplog.text
        with pytest.raises(TrtasyncError, match="please report"):
            await engine.infer(row(1))


def _raise_bug(*_: object) -> None:
    raise RuntimeError("this part is broken")


class _RaisesItsOwn(ScriptedBackend):
    """Its lanes raise what is no error of the library's, when they are told to."""

    error: Exception | None = None
    where = ""

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        lanes = super().open(streams, max_batch_size, batch_sizes)
        for lane in lanes:
            vars(lane.lane)[self.where] = partial(self._fail, getattr(lane.lane, self.where))
        return lanes

    def _fail(self, step: Any, *arguments: Any) -> Any:
        if self.error is not None:
            raise self.error
        return step(*arguments)


@pytest.mark.parametrize("where", ["launch", "wait"])
@pytest.mark.parametrize("loop_budget", [0.0, 60.0])
async def test_an_error_that_is_not_the_library_s_is_named_and_kept_as_cause(
    where: str, loop_budget: float
) -> None:
    backend = _RaisesItsOwn()
    backend.where = where
    async with opened(backend, loop_budget=loop_budget) as engine:
        for number in range(3):
            assert same(await engine.infer(row(number)), row(number))
            backend.error = OSError(f"lost packet {number}")
            with pytest.raises(
                InferenceError, match=f"the model failed.*packet {number}"
            ) as caught:
                await engine.infer(row(1))
            assert caught.value.__cause__ is backend.error
            backend.error = None
        assert check_at_rest(engine).failed == 3


class _LosesARow(ScriptedBackend):
    """Answers with a row too few, and checks nothing itself."""

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        lanes = super().open(streams, max_batch_size, batch_sizes)
        for lane in lanes:
            vars(lane.lane)["wait"] = partial(self._shorten, lane.lane)
        return lanes

    def _shorten(self, lane: Any, slot: Any) -> Times:
        times = FunctionLane.wait(lane, slot)
        if slot.outputs[0][0, 0] < 0:
            slot.outputs = [output[1:] for output in slot.outputs]
        return times


@pytest.mark.parametrize("loop_budget", [0.0, 60.0])
async def test_rows_that_a_backend_lost_are_given_to_nobody_else(
    loop_budget: float, caplog: pytest.LogCaptureFixture
) -> None:
    """A row too few in a batch, and everybody would get his neighbour's."""
    async with open_engine(_LosesARow(), loop_budget=loop_budget) as engine:
        assert same(await engine.infer(rows([1, 2, 3])), rows([1, 2, 3]))  # its time is known
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                callers = [start(tasks, engine, row(value)) for value in (-1, -2, -3)]
            for caller in callers:
                assert isinstance(caller.error, InferenceError)
                assert "cannot be told apart" in str(caller.error)
        assert same(await engine.infer(row(2)), row(2))
        seen = check_at_rest(engine)
        assert (seen.failed, seen.retried) == (6, 2)
    warned = [record for record in caplog.records if "is run again" in record.getMessage()]
    assert len(warned) == 1  # not for each batch


async def test_a_bug_while_the_engine_is_closed_ends_the_closing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    backend = ScriptedBackend()
    engine = await open_engine(backend, loop_budget=0.0)
    async with anyio.create_task_group() as tasks:
        await hold(tasks, engine, backend)
        tasks.start_soon(engine.aclose)
        await until(lambda: engine._core.pump.idle is not None)
        monkeypatch.setattr(engine._core.policy, "finished", _raise_bug)
        backend.gate.let()
        await until(lambda: backend.closed == 1)
    assert "please report" in caplog.text
