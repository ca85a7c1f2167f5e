"""How far a build has got, and the way to stop it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:  # this module comes with `import trtasync`, TensorRT's side does not
    from trtasync.plans.api import FullTensorRT


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """One piece of news from a running build.

    Attributes:
        phase: TensorRT's name of what it is doing.
        parent: the phase this one is part of; None at the top.
        step: steps done of this phase.
        steps: steps it has.
        finished: the phase is over (also when the build was stopped).
    """

    phase: str
    parent: str | None
    step: int
    steps: int
    finished: bool = False


ProgressCallback = Callable[[BuildProgress], object]


class Watch:
    """Takes TensorRT's news and tells it when to stop. Safe in any thread.

    Attributes:
        error: what the callback raised, if it did; the build was stopped for it.
    """

    def __init__(self, callback: ProgressCallback | None, stop: threading.Event):
        """Start with no phase under way.

        Args:
            callback: gets every piece of news, one at a time, in whatever thread it comes.
            stop: set by whoever wants the build to end at its next step.
        """
        self.error: BaseException | None = None
        self._callback = callback
        self._stop = stop
        self._lock = threading.Lock()
        self._phases: dict[str, BuildProgress] = {}

    @property
    def stopped(self) -> bool:
        """The build is to end, or has ended, before its time."""
        return self._stop.is_set() or self.error is not None

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        self._tell(BuildProgress(phase, parent, 0, steps))

    def step(self, phase: str, step: int) -> bool:
        """A step (counted from 0) is done; False stops the build."""
        known = self._phases.get(phase, BuildProgress(phase, None, 0, step + 1))
        self._tell(BuildProgress(phase, known.parent, step + 1, known.steps))
        return not self.stopped

    def finish(self, phase: str) -> None:
        """A phase is over."""
        known = self._phases.get(phase, BuildProgress(phase, None, 0, 0))
        self._tell(BuildProgress(phase, known.parent, known.step, known.steps, finished=True))

    def _tell(self, news: BuildProgress) -> None:
        with self._lock:
            self._phases[news.phase] = news
            if self._callback is None or self.stopped:
                return
            try:
                self._callback(news)
            except BaseException as error:  # it must not reach TensorRT's own threads
                self.error = error


def make_monitor(trt: "FullTensorRT", watch: Watch) -> Any:
    """An `IProgressMonitor` that reports to `watch`."""

    class Monitor(cast(Any, trt).IProgressMonitor):  # type: ignore[misc]  # known at run time only
        """Nothing may be raised from here: it would end the process."""

        def __init__(self) -> None:
            cast(Any, trt).IProgressMonitor.__init__(self)  # pybind11 demands the direct call

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            watch.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return watch.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            watch.finish(phase_name)

    return Monitor()
