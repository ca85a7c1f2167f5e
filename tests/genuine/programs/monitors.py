"""Builds that are watched, stopped or hindered by a progress monitor."""

import threading
from collections.abc import Callable
from typing import Any

from tests.genuine.trial import Trial


def watched(t: Trial, step: Callable[[], bool], *, ready: bool = True) -> Any:
    """Build with a monitor whose `step_complete` gives what `step` gives."""

    class Monitor(t.trt.IProgressMonitor):  # type: ignore[name-defined, misc]  # at run time only
        def __init__(self) -> None:
            if ready:
                t.trt.IProgressMonitor.__init__(self)
            self.calls: list[str] = []
            self.steps: dict[str, int] = {}
            self.threads: set[int] = set()

        def phase_start(self, name: str, parent: str | None, num_steps: int) -> None:
            self.calls.append("start")
            self.steps[name] = num_steps
            self.threads.add(threading.get_ident())

        def step_complete(self, name: str, done: int) -> bool:
            self.calls.append("step")
            self.steps[name] -= 1
            return step()

        def phase_finish(self, name: str) -> None:
            self.calls.append("finish")

    t.define((2, 4))
    monitor = t.keep(t.attempt("Monitor()", Monitor))
    t.config.progress_monitor = monitor
    t.build()
    t.attempt("has heard", lambda: sorted(set(monitor.calls)))
    starts, ends = monitor.calls.count("start"), monitor.calls.count("finish")
    t.attempt("every phase ends", lambda: starts == ends)
    return monitor


def a_build_watched(t: Trial) -> None:
    watched(t, lambda: True)


def threads_of_a_build(t: Trial) -> None:
    monitor = watched(t, lambda: True)
    t.attempt("only mine", lambda: monitor.threads == {threading.get_ident()})


def phases_to_their_ends(t: Trial) -> None:
    monitor = watched(t, lambda: True)
    t.attempt("all steps were done", lambda: not any(monitor.steps.values()))


def a_build_stopped(t: Trial) -> None:
    watched(t, lambda: False)


def a_monitor_that_raises(t: Trial) -> None:
    def step() -> bool:
        raise RuntimeError("no")

    watched(t, step)


def a_monitor_that_says_nothing(t: Trial) -> None:
    watched(t, lambda: None)  # type: ignore[arg-type, return-value]  # what is meant


def a_monitor_that_was_not_made(t: Trial) -> None:
    watched(t, lambda: True, ready=False)


def something_else_for_a_monitor(t: Trial) -> None:
    t.config.progress_monitor = 3


def no_monitor(t: Trial) -> None:
    t.config.progress_monitor = None
    t.define((2, 4))
    t.build()
