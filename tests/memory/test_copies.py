"""Copies that a thread makes: all are there before the batch goes, or it is told why not."""

import logging
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from support.helpers import PATIENCE, Array, rows
from tests.engine.interruptions import Interrupt
from trtasync.memory.staging import Copies, CopyThreads, Write

LARGE = 1
"""Bytes of a row beyond which a thread copies it, in these tests."""


class Target:
    """Rows that are written to, once `open` is set; a negative row cannot be read."""

    def __init__(self) -> None:
        self.rows = np.zeros((8, 4), np.float32)
        self.open = threading.Event()
        self.open.set()

    def write(self, row: int, count: int, source: Array) -> None:
        assert self.open.wait(PATIENCE)
        if (source < 0).any():
            raise ValueError(f"row {row} cannot be read")
        self.rows[row : row + count] = source


@pytest.fixture
def threads() -> Iterator[CopyThreads]:
    made = CopyThreads(1)
    made.in_flight.add("a batch")  # or the first row would be copied by its caller
    yield made
    made.close()


def writer(threads: CopyThreads) -> tuple[Target, Copies, Write]:
    target, copies = Target(), Copies(threads, LARGE)
    return target, copies, copies.wrap(target.write, 16)


def ends_with(copies: Copies) -> None:
    raise AssertionError(f"{copies.unfinished} were on their way")


def test_the_bell_rings_once_when_the_last_copy_is_there(threads: CopyThreads) -> None:
    target, copies, write = writer(threads)
    target.open.clear()
    rung, rings = threading.Event(), []

    def ring() -> None:
        rings.append(target.rows[:2, 0].tolist())
        rung.set()

    write(0, 1, rows([1]))
    write(1, 1, rows([2]))
    assert not copies.done(ring)
    target.open.set()
    assert rung.wait(PATIENCE)
    assert rings == [[1, 2]]
    assert copies.done(lambda: ends_with(copies))


def test_what_a_copy_raised_is_raised_once(threads: CopyThreads) -> None:
    target, copies, write = writer(threads)
    target.open.clear()
    rung = threading.Event()
    write(0, 1, rows([-1]))
    write(1, 1, rows([2]))
    assert not copies.done(rung.set)
    target.open.set()
    assert rung.wait(PATIENCE)
    assert target.rows[1, 0] == 2
    with pytest.raises(ValueError, match="row 0 cannot be read"):
        copies.done(lambda: ends_with(copies))
    assert copies.done(lambda: ends_with(copies))


def test_who_left_takes_the_failure_of_his_copy_along(threads: CopyThreads) -> None:
    """The slot is used anew: the next batch has nothing to do with it."""
    _, copies, write = writer(threads)
    write(0, 1, rows([-1]))
    copies.forget()
    assert copies.done(lambda: ends_with(copies))


def test_after_the_threads_have_ended_the_caller_copies(threads: CopyThreads) -> None:
    target, copies, write = writer(threads)
    write(0, 1, rows([1]))
    threads.close()
    write(1, 1, rows([2]))
    assert target.rows[:2, 0].tolist() == [1, 2]
    assert copies.done(lambda: ends_with(copies))


def test_an_interrupt_while_a_copy_is_handed_over_calls_it_off(
    threads: CopyThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it; the next one is made."""
    target, copies, write = writer(threads)

    def start(thread: threading.Thread) -> None:
        raise Interrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(Interrupt):
            write(0, 1, rows([1]))
    assert copies.done(lambda: ends_with(copies))
    write(1, 1, rows([2]))
    copies.wait()
    assert target.rows[:2, 0].tolist() == [0, 2]


def test_a_job_that_fails_is_logged_and_the_next_one_done(
    threads: CopyThreads, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    def fail() -> None:
        raise LookupError("no such memory")

    assert threads.put(fail)
    assert threads.put(done.set)
    assert done.wait(PATIENCE)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "no such memory" in str(record.exc_info)
