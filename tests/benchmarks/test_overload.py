"""The open load of `benchmarks.overload`."""

import socket
import time

import numpy as np
import pytest

from benchmarks.overload.arrivals import FRAME, schedule, send


def test_each_priority_comes_at_its_rate_in_order_of_time() -> None:
    frames = schedule({"1": 500.0, "9": 2000.0}, 4.0, seed=1)
    assert np.all(np.diff(frames["due"]) >= 0.0)
    assert (frames["due"][0] >= 0.0, frames["due"][-1] < 4.0) == (True, True)
    for priority, rate in ((1, 500), (9, 2000)):
        due = frames["due"][frames["priority"] == priority]
        assert len(due) == pytest.approx(4.0 * rate, rel=0.1)
        assert np.std(np.diff(due)) == pytest.approx(1 / rate, rel=0.1)  # as Poisson arrivals vary
    assert np.array_equal(frames, schedule({"1": 500.0, "9": 2000.0}, 4.0, seed=1))


def test_frames_arrive_whole_and_not_before_they_are_due() -> None:
    frames = schedule({"1": 100.0}, 0.05, seed=2)
    frames["due"] += time.perf_counter()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worst = send(theirs, frames)
        ended = time.perf_counter()
        received = np.frombuffer(ours.recv(FRAME.itemsize * len(frames)), FRAME)
    assert np.array_equal(received, frames)
    assert ended >= frames["due"][-1]
    assert worst >= 0.0
