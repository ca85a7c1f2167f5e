"""The progress of a build, and how to stop it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:  # `import trtasync` loads this module, but not TensorRT's side
    from trtasync.plans.api import FullTensorRT


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """A progress report from a running build.

    Attributes:
        phase: TensorRT's name for what it is doing.
        parent: the phase that this one is part of; None at the top.
        step: finished steps of this phase.
        steps: the number of its steps.
        finished: the phase is over (also if the build was stopped).
    """

    phase: str
    parent: str | None
    step: int
    steps: int
    finished: bool = False


ProgressCallback = Callable[[BuildProgress], object]


class Watch:
    """Receives TensorRT's progress and tells it when to stop. Thread-safe.

    Attributes:
        error: what the callback raised, if anything; it stopped the build.
    """

    def __init__(self, callback: ProgressCallback | None, stop: threading.Event):
        """Start without a current phase.

        Args:
            callback: gets every report, one at a time, in whatever thread it comes from.
            stop: set to end the build at its next step.
        """
        self.error: BaseException | None = None
        self._callback = callback
        self._stop = stop
        self._lock = threading.Lock()
        self._phases: dict[str, BuildProgress] = {}

    @property
    def stopped(self) -> bool:
        """Whether the build is to end, or has ended, early."""
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
            except BaseException as error:  # it must not propagate into TensorRT's own threads
                self.error = error


def make_monitor(trt: "FullTensorRT", watch: Watch) -> Any:
    """An `IProgressMonitor` that reports to `watch`."""

    class Monitor(cast(Any, trt).IProgressMonitor):  # type: ignore[misc]  # known at run time only
        """Nothing may be raised here: it would end the process."""

        def __init__(self) -> None:
            cast(Any, trt).IProgressMonitor.__init__(self)  # pybind11 requires the direct call

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            watch.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return watch.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            watch.finish(phase_name)

    return Monitor()
