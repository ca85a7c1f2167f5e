"""Runs of a trial within a time budget, which a timer enforces even during a run."""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from trtasync.errors import CudaError, DeviceLost
from trtasync.model.arrays import Array
from trtasync.rows.verdicts import Trial
from trtasync.system.stopping import Stopped


class OutOfTime(Exception):
    """The time budget is used up."""


class Refused(Exception):
    """The model failed on these inputs; the cause is the runtime's exception."""


class Runs:
    """A trial whose runs are counted and limited in time. The context manager owns the timer.

    Attributes:
        count: runs that returned outputs.
    """

    def __init__(self, trial: Trial, seconds: float, clock: Callable[[], float]):
        self.count: int = 0
        self._trial = trial
        self._clock = clock
        self._end = clock() + seconds
        self._rang = False
        self._timer: threading.Timer | None = None
        if 0 < seconds < threading.TIMEOUT_MAX:
            self._timer = threading.Timer(seconds, self._ring)
            self._timer.name = "trtasync-check-timer"
            self._timer.daemon = True

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    @property
    def over(self) -> bool:
        """Whether no further runs are possible."""
        return self._rang or self._clock() >= self._end

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run once and copy the outputs, because a runtime may reuse their memory.

        Raises:
            OutOfTime: the budget ended, before or during the run.
            Refused: the model failed.
            CudaError, DeviceLost: the machine failed, not the model.
            Stopped: the result is no longer wanted.
        """
        if self.over:
            raise OutOfTime
        try:
            outputs = [np.array(output) for output in self._trial.run(arrays)]
        except (CudaError, DeviceLost, Stopped):
            raise
        except Exception as error:  # runtimes' exceptions share no base class
            if self.over:
                raise OutOfTime from error
            raise Refused(first_line(error)) from error
        self.count += 1
        return outputs

    def _ring(self) -> None:
        self._rang = True
        self._trial.stop()


def first_line(error: BaseException, limit: int = 200) -> str:
    """Shorten an exception's message for a clause of a finding."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    line = lines[0].rstrip(". ")
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
