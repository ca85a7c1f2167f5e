"""Every rule of ownership and order, switched off once: something must turn red.

A row of the table names a rule, how to switch it off, and the scenario that needs it. The scenario
must go well with the rule and badly without it, so neither the rule nor the scenario is idle.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import doubles
from support.doubles import Installed, models
from support.doubles import tensorrt as trt
from support.helpers import PATIENCE, Array, row, same, until
from tests.tensorrt.devices import Dlpack, Producer, called
from tests.tensorrt.support import double, engine_on, lines, write
from trtasync import Engine, open_engine
from trtasync.core.completion import LARGE_ANSWER_BYTES
from trtasync.memory.staging import Copies, CopyThreads
from trtasync.runtimes import Slot
from trtasync.runtimes.cuda import Device, Event, OutputPool
from trtasync.runtimes.tensorrt.contexts import Context
from trtasync.runtimes.tensorrt.lane import SLOTS, TensorRTLane
from trtasync.runtimes.tensorrt.launches import Staged
from trtasync.runtimes.tensorrt.memory import LaneMemory
from trtasync.runtimes.tensorrt.slots import PinnedSlot
from trtasync.scheduler import Policy

Patch = Callable[[pytest.MonkeyPatch], None]
Scenario = Callable[[Path], Awaitable[None]]


# -- the scenarios --------------------------------------------------------------------------------


@asynccontextmanager
async def _engine(
    folder: Path, model: models.Model | None = None, **options: Any
) -> AsyncIterator[tuple[Engine, Installed]]:
    """An engine whose broken rules count as a failure, and that runs nothing before its lanes."""
    async with engine_on(folder, model, batching=True, **options) as (engine, gpu):
        yield engine, gpu
    assert gpu.world.violations == []
    assert trt._violations == []


async def answers_wait_for_the_stream(folder: Path) -> None:
    """While the streams are held nothing is answered; then everything is right."""
    async with _engine(folder) as (engine, gpu):
        before = gpu.world.calls["cudaEventRecord"]
        with gpu.world.held():
            task = asyncio.ensure_future(engine.infer(row(3)))
            await until(lambda: gpu.world.calls["cudaEventRecord"] > before)
            # the first batch of a size is waited for by its lane's thread
            await until(lambda: task.done() or gpu.world.calls["cudaEventSynchronize"] > 0)
            early = task.done()
        assert same(await task, double(row(3)))
        assert not early


async def many_batches(folder: Path) -> None:
    """Slots are used again and again, and every answer stays the caller's own."""
    async with _engine(folder, streams=2, max_batch_size=4) as (engine, _):
        kept: list[tuple[int, Array]] = []

        async def ask(number: int) -> None:
            kept.append((number, await engine.infer(row(number))))

        for start in range(0, 60, 20):
            await asyncio.gather(*(ask(number) for number in range(start, start + 20)))
        assert all(same(answer, double(row(number))) for number, answer in kept)


async def large_answers_stay_as_they_are(folder: Path) -> None:
    """A lone row of a megabyte is handed out as it is, where its memory is nobody else's."""
    width = LARGE_ANSWER_BYTES // 4
    model = models.elementwise(double, width=width, most=1, name="large")
    async with _engine(folder, model, streams=1) as (engine, _):
        kept = [await engine.infer(row(number, width)) for number in range(SLOTS + 1)]
        assert all(same(y, double(row(number, width))) for number, y in enumerate(kept))


class _Postponed:
    """Copy threads that do nothing until they are told to."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.jobs: list[Callable[[], None]] = []

        def put(threads: CopyThreads, job: Callable[[], None]) -> bool:
            self.jobs.append(job)
            return True

        patch.setattr(CopyThreads, "put", put)

    def go(self) -> None:
        """Do them all, in a thread of their own."""
        jobs, self.jobs = self.jobs, []
        worker = threading.Thread(target=lambda: [job() for job in jobs])
        worker.start()
        worker.join(PATIENCE)


async def lent_answers_stay_as_they_are(folder: Path) -> None:
    """A lent answer is not written over by later batches, and not freed with its engine."""
    path = write(folder, models.elementwise(double))
    with doubles.install() as gpu:
        async with open_engine(path, streams=1) as engine:
            lent = await engine.infer(row(5), copy=False)
            for number in range(12):
                await engine.infer(row(number))
        with lent as answer:
            assert gpu.world.find(answer.ctypes.data, answer.nbytes) is not None
            assert same(answer, double(row(5)))
            del answer


async def rows_are_staged_before_the_launch(folder: Path) -> None:
    """A batch whose rows are still on their way is not launched."""
    with pytest.MonkeyPatch.context() as patch:
        postponed = _Postponed(patch)
        async with _engine(folder, inline_bytes=0, copy_threads=1) as (engine, gpu):
            for number in (7, 8):
                task = asyncio.ensure_future(engine.infer(np.stack([row(number), row(-number)])))
                await until(lambda: len(postponed.jobs) == 1)
                before = gpu.world.calls["cudaGraphLaunch"]
                for _ in range(20):
                    await asyncio.sleep(0)
                launched = gpu.world.calls["cudaGraphLaunch"] - before
                postponed.go()
                assert same(await task, double(np.stack([row(number), row(-number)])))
                assert launched == 0


async def a_slot_waits_for_late_rows(folder: Path) -> None:
    """A caller leaves while its rows are being copied: nobody else's rows are written over."""
    with pytest.MonkeyPatch.context() as patch:
        postponed = _Postponed(patch)
        model = models.elementwise(double, most=2)
        options = {"streams": 1, "inline_bytes": 0, "copy_threads": 1}
        async with _engine(folder, model, **options) as (engine, _):
            task = asyncio.ensure_future(engine.infer(rows_of(1)))
            await until(lambda: len(postponed.jobs) == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            late = postponed.jobs.pop()
            staged = threading.Event()

            def write_late() -> None:
                staged.wait(0.2)  # never set while somebody waits for this
                late()

            patch.setattr(Copies, "wait", _meanwhile(Copies.wait, write_late))
            # one plain row: the event loop copies it itself, past the copy threads
            started = asyncio.ensure_future(engine.infer(row(2)))
            await until(lambda: engine.statistics().requests == 2)
            staged.set()
            assert same(await started, double(row(2)))


def _meanwhile(wait: Callable[[Copies], None], late: Callable[[], None]) -> Any:
    """`Copies.wait`, during which the late copy is done by another thread."""
    begun = threading.Event()

    def waiting(copies: Copies) -> None:
        if copies.unfinished and not begun.is_set():
            begun.set()
            threading.Thread(target=late).start()
        wait(copies)

    return waiting


def rows_of(number: float) -> Array:
    """Two rows: a single one for an idle device is copied by its caller."""
    return np.stack([row(number), row(-number)])


async def producers_are_waited_for(folder: Path) -> None:
    """A caller's device array is read after the work that makes it."""
    async with _engine(folder) as (engine, gpu):
        producer = Producer(gpu)
        array = Dlpack(row(-1), producer=producer)
        producer.write_late(array, row(5))
        task = asyncio.ensure_future(engine.infer(array))
        # the first batch of a size is waited for by its lane's thread
        await until(lambda: task.done() or gpu.world.calls["cudaEventSynchronize"] > 0)
        early = task.done()
        producer.go()
        answer = await task
        array.close()
        producer.close()
        assert not early
        assert same(answer, double(row(5)))


async def a_model_that_cannot_be_captured(folder: Path) -> None:
    """Plain enqueue serves; an empty graph would replay what was there before."""
    model = models.elementwise(double, capturable=False)
    async with _engine(folder, model, max_batch_size=4) as (engine, _):
        for number in range(6):
            assert same(await engine.infer(row(number)), double(row(number)))


async def two_streams_at_once(folder: Path) -> None:
    """Two batches compute at the same time, each with an activation arena of its own."""
    meeting = threading.Barrier(2)
    active = threading.Event()

    def together(x: Array) -> Array:
        if active.is_set():
            meeting.wait(PATIENCE)
        return double(x)

    model = models.elementwise(together, most=1)
    async with _engine(folder, model, streams=2) as (engine, _):
        active.set()
        answers = await asyncio.gather(engine.infer(row(1)), engine.infer(row(2)))
        assert same(answers[0], double(row(1)))
        assert same(answers[1], double(row(2)))


async def padding_is_valid(folder: Path) -> None:
    """Rows behind the real ones are inputs that a model can take: here, indices of a table."""
    table = np.arange(40, dtype=np.float32).reshape(10, 4)
    seen: list[Array] = []

    def gather(index: Array) -> Array:
        seen.append(index.copy())
        found: Array = table[np.clip(index[:, 0], 0, 9)]
        return found

    ranges = [((1, 1), (8, 1), (8, 1))]
    x = models.Tensor("x", np.int32, (-1, 1), ranges)
    y = models.Tensor("y", np.float32, (-1, 4))
    model = models.Model("gather", [x], [y], models.host_kernel(gather))
    for graphs in (True, False):
        seen.clear()
        async with _engine(folder, model, graphs=graphs, batch_sizes=[8]) as (engine, _):
            asked = [engine.infer(np.array([number], np.int32)) for number in range(3)]
            assert same(np.stack(await asyncio.gather(*asked)), table[:3])
        assert all(((index >= 0) & (index < 10)).all() for index in seen)


async def shapes_follow_the_batch(folder: Path) -> None:
    """Lengths that are not kept warm take turns on one context, which must know the length."""

    def lengthen(x: Array) -> Array:
        return x + np.float32(x.shape[1])

    async with _engine(folder, lines(lengthen), streams=1) as (engine, _):
        for turn in range(8):  # every slot of the lane has prepared both after some turns
            for length in (3, 5):
                x = np.arange(length, dtype=np.float32) + turn
                assert same(await engine.infer(x), x + np.float32(length))


async def released_answers_are_used_again_late(folder: Path) -> None:
    """Who had an answer on the device may still be reading it when it is let go."""
    async with _engine(folder) as (engine, gpu):
        answer = await engine.infer(row(4), outputs="device")
        reader = Producer(gpu)
        copy = Dlpack(row(0))
        gate = threading.Event()
        source, target = answer.address, copy.address

        def read_late() -> None:
            gate.wait(PATIENCE)
            gpu.world.copy(target, source, 16)

        gpu.world.enqueue(gpu.world.streams[reader.handle], read_late)
        del answer
        await until(lambda: gpu.world.calls["cudaDeviceSynchronize"] >= 1)
        second = asyncio.ensure_future(engine.infer(row(9), outputs="device"))
        await second
        gate.set()
        called(doubles.cuda_runtime.cudaSetDevice, 0)
        called(doubles.cuda_runtime.cudaStreamSynchronize, reader.handle)
        read = copy.memory.copy()
        del second
        copy.close()
        reader.close()
        assert same(read, double(row(4)))


# -- the table ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """What is switched off, and who misses it."""

    off: Patch
    scenario: Scenario


def _returns(owner: Any, name: str, value: Any) -> Patch:
    return lambda patch: patch.setattr(owner, name, lambda *_, **__: value)


def _believe_refused_enqueues(patch: pytest.MonkeyPatch) -> None:
    def enqueue(context: Context, stream: int) -> None:
        context._context.execute_async_v3(stream)

    patch.setattr(Context, "enqueue", enqueue)


def _share_the_arena(patch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    allocate = LaneMemory._allocate

    def shared(memory: LaneMemory, *arguments: Any) -> None:
        allocate(memory, *arguments)
        made.append(memory.arena)
        memory.arena = made[0]

    patch.setattr(LaneMemory, "_allocate", shared)


def _leave_device_memory_dirty(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        doubles.cuda_runtime, "cudaMemsetAsync", lambda *_: (doubles.cuda_runtime._SUCCESS,)
    )


def _leave_pinned_memory_dirty(patch: pytest.MonkeyPatch) -> None:
    init = PinnedSlot.__init__

    def dirty(slot: PinnedSlot, *arguments: Any) -> None:
        init(slot, *arguments)
        slot._memory.array[:] = 0xA5

    patch.setattr(PinnedSlot, "__init__", dirty)


def _keep_old_shapes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Staged, "_run", lambda launch: launch._context.enqueue(launch._stream))


def _do_not_wait_for_producers(patch: pytest.MonkeyPatch) -> None:
    def ignored(*_: Any) -> Any:
        return (doubles.cuda_runtime._SUCCESS,)

    real = doubles.cuda_runtime.cudaStreamWaitEvent
    intakes: list[int] = []

    def wait(stream: Any, event: Any, flags: int) -> Any:
        # the producer's own call (to the intake's stream) stays; the lane's does not happen
        if not intakes:
            intakes.append(int(stream))
        return real(stream, event, flags) if int(stream) in intakes else ignored()

    patch.setattr(doubles.cuda_runtime, "cudaStreamWaitEvent", wait)


def _recycle_at_once(patch: pytest.MonkeyPatch) -> None:
    def release(pool: OutputPool, buffer: Any) -> None:
        pool._free.setdefault(buffer.size, []).append(buffer)
        # the wait that the scenario looks for, of something else
        doubles.world.current().calls["cudaDeviceSynchronize"] += 1

    patch.setattr(OutputPool, "release", release)


def _bind_without_waiting(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Copies, "wait", lambda copies: None)


def _use_lent_slots_again(patch: pytest.MonkeyPatch) -> None:
    real = Policy.finished

    def finished(
        policy: Policy[Slot], batch: Any, now: float, seconds: Any, lent: bool = False
    ) -> None:
        real(policy, batch, now, seconds)

    patch.setattr(Policy, "finished", finished)


RULES = {
    "a slot is not used again while answers of it are lent": Rule(
        _use_lent_slots_again, lent_answers_stay_as_they_are
    ),
    "lent answers keep their memory when the engine closes": Rule(
        lambda patch: patch.setattr(PinnedSlot, "close", PinnedSlot._free),
        lent_answers_stay_as_they_are,
    ),
    "an answer waits for its event": Rule(
        _returns(Event, "fired", True), answers_wait_for_the_stream
    ),
    "a lane asks the event before it answers": Rule(
        _returns(TensorRTLane, "wait", None), answers_wait_for_the_stream
    ),
    "answers are copied out of the slot": Rule(
        lambda patch: patch.setattr(
            "trtasync.runtimes.tensorrt.backend.TensorRTBackend.lends_outputs", False
        ),
        large_answers_stay_as_they_are,
    ),
    "a thread enters the device before it calls": Rule(
        _returns(Device, "enter_again", None), many_batches
    ),
    "a batch waits for its rows": Rule(
        _returns(Copies, "done", True), rows_are_staged_before_the_launch
    ),
    "a slot waits for late rows before it is bound anew": Rule(
        _bind_without_waiting, a_slot_waits_for_late_rows
    ),
    "a device array waits for its producer": Rule(
        _do_not_wait_for_producers, producers_are_waited_for
    ),
    "a refused enqueue is never believed": Rule(
        _believe_refused_enqueues, a_model_that_cannot_be_captured
    ),
    "every lane has its own activation arena": Rule(_share_the_arena, two_streams_at_once),
    "device memory starts as valid inputs": Rule(_leave_device_memory_dirty, padding_is_valid),
    "pinned memory starts as valid inputs": Rule(_leave_pinned_memory_dirty, padding_is_valid),
    "a context is given the shapes of its batch": Rule(_keep_old_shapes, shapes_follow_the_batch),
    "released device memory rests until the device is done": Rule(
        _recycle_at_once, released_answers_are_used_again_late
    ),
}


async def _in_time(scenario: Scenario, folder: Path) -> None:
    async with asyncio.timeout(PATIENCE):
        await scenario(folder)


@pytest.mark.parametrize("name", RULES)
def test_a_scenario_goes_well_with_its_rule(name: str, tmp_path: Path) -> None:
    asyncio.run(_in_time(RULES[name].scenario, tmp_path))
    assert not [thread for thread in threading.enumerate() if "double stream" in thread.name]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RULES)
def test_and_badly_without_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RULES[name].off(monkeypatch)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - however it shows
        asyncio.run(_in_time(RULES[name].scenario, tmp_path))
