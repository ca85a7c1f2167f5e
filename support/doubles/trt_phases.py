"""What a build of the double of `tensorrt` tells its progress monitor."""

import threading
from collections.abc import Callable
from typing import Any

from support.doubles.trt_builds import Builds
from support.doubles.trt_context import violations


class Phases:
    """What a progress monitor is told.

    Attributes:
        stopped: it has said so, or it has raised.
    """

    def __init__(self, monitor: Any, builds: Builds):
        self.stopped = False
        self._monitor, self._builds = monitor, builds

    def run(
        self,
        name: str,
        parent: str | None,
        steps: int,
        work: Callable[[int], None] = lambda step: None,
    ) -> None:
        """A phase; `work` does a step of it."""
        self._tell("phase_start", name, parent, steps)
        for step in range(steps):
            if self.stopped:
                break
            self._builds.step()
            work(step)
            self._complete(name, step)
        self._tell("phase_finish", name)

    def _complete(self, name: str, step: int) -> None:
        """Unless a phase inside of it has been stopped meanwhile."""
        if not self.stopped and not self._tell("step_complete", name, step):
            self.stopped = True

    def _tell(self, method: str, *arguments: Any) -> bool:
        if self._monitor is None:
            return True
        self._builds.threads.add(threading.current_thread().name)
        try:
            return bool(getattr(self._monitor, method)(*arguments))
        except BaseException as error:
            # TensorRT's threads know no Python exceptions
            violations.append(f"terminate: the progress monitor's {method} raised {error!r}")
            self.stopped = True
            return False
