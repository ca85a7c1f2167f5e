"""A test's controls and view of the builder's double; see `trt_builder` for how to use it."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

LOG_VARIABLE = "TRTASYNC_DOUBLE_LOG"
SECONDS_VARIABLE = "TRTASYNC_DOUBLE_STEP_SECONDS"

PATIENCE = 100.0
"""Seconds a test waits for what should be there at once."""


class Gate:
    """Every step of a build passes here, in whatever thread.

    Attributes:
        waiting: threads now waiting at it.
        passed: steps that have gone through.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self.passed = 0
        self._held = False
        self._allowed = 0
        self._condition = threading.Condition()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile no build proceeds, except for what `let` lets through."""
        self.hold()
        try:
            yield
        finally:
            self.release()

    def hold(self) -> None:
        """From now on every build waits at its next step."""
        with self._condition:
            self._held, self._allowed = True, 0

    def release(self) -> None:
        """Let all builds proceed."""
        with self._condition:
            self._held = False
            self._condition.notify_all()

    def let(self, steps: int) -> None:
        """Let this many steps through while it is held."""
        with self._condition:
            self._allowed += steps
            self._condition.notify_all()

    def wait_for_build(self, threads: int = 1) -> None:
        """Wait until this many build threads are at the gate."""
        with self._condition:
            came = self._condition.wait_for(lambda: self.waiting >= threads, PATIENCE)
        assert came, f"{self.waiting} of {threads} threads came to the gate"

    def go_through(self) -> None:
        """Called by the double before a step counts as done."""
        with self._condition:
            self.waiting += 1
            self._condition.notify_all()
            self._condition.wait_for(lambda: not self._held or self._allowed > 0)
            self._allowed -= 1 if self._held else 0
            self.waiting -= 1
            self.passed += 1


def _seconds() -> float:
    return float(os.environ.get(SECONDS_VARIABLE, "0"))


@dataclass
class Builds:
    """All settings of the pretended builder, and all that it did; a new one per `install`.

    Attributes:
        gate: holds builds back.
        steps: of every phase.
        step_seconds: real time every step takes; by default what TRTASYNC_DOUBLE_STEP_SECONDS says.
        unsupported: ONNX operators that the parser lacks.
        workspace_needed: bytes; with a lower limit a build fails.
        no_builder: the constructor fails, as pybind11's does when C++ returns null.
        refuse_profiles: `add_optimization_profile` returns -1.
        fast_fp16: what TensorRT 10 reports for the GPU.
        fast_int8: what TensorRT 10 reports for the GPU.
        static_contexts: execution contexts may have activation memory of their own.
        started: builds that have begun.
        finished: builds that made a plan.
        failed: builds that gave None.
        tactics_timed: layers whose tactics were measured.
        tactics_found: layers whose tactics were known from the timing cache.
        threads: names of the threads that have called a progress monitor.
        calibrated: batches that calibrators gave.
    """

    gate: Gate = field(default_factory=Gate)
    steps: int = 3
    step_seconds: float = field(default_factory=_seconds)
    unsupported: set[str] = field(default_factory=set)
    workspace_needed: int = 0
    no_builder: bool = False
    refuse_profiles: bool = False
    fast_fp16: bool = True
    fast_int8: bool = True
    static_contexts: bool = False
    started: int = 0
    finished: int = 0
    failed: int = 0
    tactics_timed: int = 0
    tactics_found: int = 0
    threads: set[str] = field(default_factory=set)
    calibrated: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _logger: object = None

    def first_logger(self, logger: object) -> object:
        """Called by the double: the first caller's logger."""
        with self._lock:
            if self._logger is None:
                self._logger = logger
            return self._logger

    def step(self) -> None:
        """Called by the double before a step counts as done."""
        self.gate.go_through()
        if self.step_seconds:
            time.sleep(self.step_seconds)  # a pretended duration, for tests that kill processes

    def tactic(self, found: bool) -> None:
        """Called by the double, from several threads."""
        with self._lock:
            self.tactics_found += found
            self.tactics_timed += not found

    def begin(self, name: str) -> None:
        """Called by the double."""
        with self._lock:
            self.started += 1
        note(f"start {os.getpid()} {name}")

    def end(self, name: str, done: bool) -> None:
        """Called by the double."""
        with self._lock:
            self.finished += done
            self.failed += not done
        note(f"{'end' if done else 'failed'} {os.getpid()} {name}")


def note(line: str) -> None:
    """Append a line to the file that TRTASYNC_DOUBLE_LOG names, whole even among processes."""
    path = os.environ.get(LOG_VARIABLE)
    if path:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, f"{line}\n".encode())
        finally:
            os.close(file)


_current = Builds()


def current() -> Builds:
    """Those of the doubles that are installed."""
    return _current


def replace(builds: Builds) -> Builds:
    """Make others current; returns the ones before."""
    global _current
    before, _current = _current, builds
    return before
