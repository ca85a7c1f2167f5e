"""A model that says itself how long its runs took, and takes no time."""

import threading
from collections.abc import Callable
from typing import Any

from support.helpers import Array, tensor
from trtasync.runtimes import Slot, Times
from trtasync.runtimes.function import FunctionBackend, FunctionLane


class TimedBackend(FunctionBackend):
    """Gives its rows back.

    Attributes:
        ran_on: threads of all runs.
    """

    def __init__(self, seconds: Callable[[Array], float]):
        """Args:
        seconds: what a run of these rows is said to have taken.
        """
        tensors = [tensor("x", "N", 4)]
        super().__init__(lambda x: x.copy(), inputs=tensors, outputs=[tensor("y", "N", 4)])
        self.seconds = seconds
        self.ran_on: list[int] = []

    def _lane(self, index: int) -> FunctionLane:
        return _TimedLane(self, self._function, self.spec)


class _TimedLane(FunctionLane):
    def __init__(self, backend: TimedBackend, *model: Any):
        super().__init__(*model)
        self._backend = backend

    def wait(self, slot: Slot) -> Times:
        super().wait(slot)
        self._backend.ran_on.append(threading.get_ident())
        return 0.0, self._backend.seconds(slot.outputs[0]), 0.0
