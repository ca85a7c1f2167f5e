"""The parts of an engine that mark their work for NVIDIA's profilers; see `system.ranges`.

They replace the plain parts when an engine is opened, so that no batch pays for a check.
"""

from collections.abc import Callable, Sequence
from typing import Any

from trtasync.core.completion import Completion
from trtasync.core.intake import Intake
from trtasync.core.pump import Pump
from trtasync.core.watchdog import Stoppable
from trtasync.model.arrays import Array
from trtasync.runtimes import Lane, Slot, Times
from trtasync.scheduler import Batch
from trtasync.system.ranges import Domain, within


class RangedPump(Pump):
    """Marks `batch`, with its rows: the launch, and the run itself if it is on the loop."""

    def __init__(self, domain: Domain, *parts: Any):
        """`parts`: see `Pump`."""
        super().__init__(*parts)
        self._domain = domain

    def _launch(self, batch: Batch[Slot]) -> bool:
        with within(self._domain, "batch", batch.size):
            return super()._launch(batch)


class RangedIntake(Intake):
    """Marks `stage`: requests that waited in line are written to their rows. All others are written
    on arrival, unmarked."""

    def __init__(self, domain: Domain, *parts: Any):
        """`parts`: see `Intake`."""
        super().__init__(*parts)
        self._domain = domain

    def stage_placements(self) -> None:
        """See `Intake.stage_placements`."""
        if self._policy.placements:
            with within(self._domain, "stage"):
                super().stage_placements()


class RangedCompletion(Completion):
    """Marks `deliver`, with the batch's rows: answers are handed out."""

    def __init__(self, domain: Domain, *parts: Any):
        """`parts`: see `Completion`."""
        super().__init__(*parts)
        self._domain = domain

    def answer(self, batch: Batch[Slot]) -> int:
        """See `Completion.answer`."""
        with within(self._domain, "deliver", batch.size):
            return super().answer(batch)

    def answer_pieces(self, batch: Batch[Slot], pieces: Sequence[list[Array] | Exception]) -> None:
        """See `Completion.answer_pieces`."""
        with within(self._domain, "deliver", batch.size):
            super().answer_pieces(batch, pieces)


class RangedLane:
    """Wraps a lane and marks its `launch`, with the rows that run, and its `wait`, in any thread.

    On the CPU the model runs inside `wait`.
    """

    def __init__(self, domain: Domain, lane: Lane):
        self.device: int = lane.device
        self.depth: int = lane.depth
        self.asynchronous: bool = lane.asynchronous
        self.ready: Callable[[Slot], bool] = lane.ready
        self.close: Callable[[], None] = lane.close
        if isinstance(lane, Stoppable):  # having `stop` makes this one `Stoppable` too
            self.stop: Callable[[], None] = lane.stop
        self._domain = domain
        self._lane = lane

    def launch(self, slot: Slot, rows: int) -> None:
        """See `Lane.launch`."""
        with within(self._domain, "launch", rows):
            self._lane.launch(slot, rows)

    def wait(self, slot: Slot) -> Times | None:
        """See `Lane.wait`."""
        with within(self._domain, "wait"):
            return self._lane.wait(slot)
