"""Deadlines, cancellation, priorities, a full queue. `python -m examples.deadlines`.

The model is a function that takes 20 ms, so that things have time to happen.
"""

import time

import anyio
import numpy as np
import numpy.typing as npt

import trtasync

Array = npt.NDArray[np.float32]


def slow_model(x: Array) -> Array:
    """Twice the input, 20 ms later whatever the batch."""
    time.sleep(0.02)
    doubled: Array = x * 2
    return doubled


SPEC = trtasync.TensorSpec("x", np.dtype("float32"), ("N", 1))


def row(value: float) -> Array:
    """One row."""
    return np.array([value], np.float32)


async def deadlines(engine: trtasync.Engine) -> None:
    """A request that cannot make its deadline is not even computed."""
    with anyio.fail_after(10):
        print("in time:", await engine.infer(row(1)))
    with anyio.move_on_after(0.005) as scope:
        await engine.infer(row(2))
    rows = engine.statistics().rows
    print("too late:", scope.cancelled_caught, "- left out, not computed:", rows == 1)


async def cancellation(engine: trtasync.Engine) -> None:
    """A cancelled caller leaves the queue; its neighbours notice nothing."""
    answers = []

    async def caller(value: float) -> None:
        answers.append(float((await engine.infer(row(value)))[0]))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(caller, 3)
        tasks.start_soon(caller, 4)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await engine.infer(row(99))
    print("cancelled one of three, the others got", sorted(answers))


async def priorities(engine: trtasync.Engine) -> None:
    """Whoever has the better priority goes first when not all fit."""
    order = []

    async def caller(value: int, priority: int) -> None:
        await engine.infer(row(value), priority=priority)
        order.append(value)

    async with anyio.create_task_group() as tasks:
        for value in range(20):
            tasks.start_soon(caller, value, 9)
        tasks.start_soon(caller, 100, 1)
    print("the urgent request came last of 21 and was answered as number", order.index(100) + 1)


async def full_queue(engine: trtasync.Engine) -> None:
    """More than `max_queue_size` rows are refused at once: nothing piles up unseen."""

    async def caller(rows: int) -> None:
        try:
            await engine.infer(np.zeros((rows, 1), np.float32))
        except trtasync.QueueFull as error:
            print("full for now:", error)
        except trtasync.RequestTooLarge as error:
            print("never:", error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(caller, 40)
        tasks.start_soon(caller, 40)
    await caller(65)


async def main() -> None:
    """Show all four."""
    backend = trtasync.FunctionBackend(slow_model, inputs=[SPEC], outputs=[SPEC])
    async with trtasync.open_engine(backend, max_batch_size=2, max_queue_size=64) as engine:
        await deadlines(engine)
        await cancellation(engine)
        await priorities(engine)
        await full_queue(engine)


if __name__ == "__main__":
    anyio.run(main)
