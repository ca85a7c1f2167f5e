"""The parts of an engine that mark what they do for NVIDIA's profilers; see `system.ranges`.

They take the place of those that do not, when an engine is opened: so nothing asks per batch.
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
    """`batch`, with its rows: it is launched, and run to its end where that is on the loop."""

    def __init__(self, domain: Domain, *parts: Any):
        """`parts`: see `Pump`."""
        super().__init__(*parts)
        self._domain = domain

    def _launch(self, batch: Batch[Slot]) -> bool:
        with within(self._domain, "batch", batch.size):
            return super()._launch(batch)


class RangedIntake(Intake):
    """`stage`: what waited in line is written to its rows. Other requests are when they come."""

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
    """`deliver`, with the batch's rows: answers are handed out."""

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
    """`launch`, with rows as they run, and `wait`, in whichever thread; otherwise the lane itself.

    On the CPU the model runs while it is waited for.
    """

    def __init__(self, domain: Domain, lane: Lane):
        self.device: int = lane.device
        self.depth: int = lane.depth
        self.asynchronous: bool = lane.asynchronous
        self.ready: Callable[[Slot], bool] = lane.ready
        self.close: Callable[[], None] = lane.close
        if isinstance(lane, Stoppable):  # otherwise this one must not look as if it were
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
