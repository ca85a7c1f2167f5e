"""Failing the requests that a dead lane or a broken engine takes down."""

import logging
from collections.abc import Sequence
from typing import cast

from trtasync.core.completion import Completion
from trtasync.core.intake import Intake
from trtasync.core.lanes import Worker
from trtasync.core.reservations import Reservation
from trtasync.errors import CudaError, DeviceLost, TrtasyncError
from trtasync.loops import EventLoop
from trtasync.runtimes import Slot
from trtasync.scheduler import Batch, Policy

log: logging.Logger = logging.getLogger("trtasync")


class Failing:
    """Fails requests that can no longer be served, each with an exception of its own.

    Attributes:
        broken: a bug ended the engine.
    """

    def __init__(
        self,
        name: str,
        policy: Policy[Slot],
        loop: EventLoop,
        workers: Sequence[Worker],
        intake: Intake,
        completion: Completion,
    ):
        """Nothing fails yet.

        Args:
            name: of the engine.
            policy: knows the waiting requests.
            loop: knows the time.
            workers: the lanes, by index.
            intake: refuses new requests when no lane is left.
            completion: fails each request.
        """
        self._name = name
        self._policy = policy
        self._loop = loop
        self._workers = workers
        self._intake = intake
        self._completion = completion
        self.broken: bool = False

    def lane_died(self, index: int, cause: BaseException | None) -> None:
        """Fail what was running on a lane and go on with the others, if there are any."""
        state = self._workers[index].state
        log.error("%s: stream %d is dead: %s", self._name, index, cause)
        others = any(worker.state.alive for worker in self._workers if worker.state is not state)
        words = str(cause).rstrip(".")
        end = "; the engine goes on with the others." if others else "."
        code = cause.code if isinstance(cause, CudaError | DeviceLost) else None
        lost = DeviceLost(f"stream {index} died: {words}{end}", stream=index, code=code)
        lost.__cause__ = cause
        for batch in cast(list[Batch[Slot]], list(state.running)):
            # The batch may run on and write its outputs at any time. So its slot is lost with the
            # lane, even one that all lanes share.
            batch.slot.lane = index
            self._completion.fail_batch(batch, lost)
            batch.slot.let_go()
            self._policy.finished(batch, self._loop.now(), None)
        if not self._policy.lane_died(index, self._loop.now()):
            # a DeviceLost names its own remedy
            remedy = "" if isinstance(cause, DeviceLost) else "; close this engine, open another"
            lost = DeviceLost(f"no stream is left: {words}{remedy}.", code=code)
            self._intake.refuse(lost)
            self.fail_waiting(lost)
        self._intake.stage_placements()

    def break_down(self, error: BaseException) -> None:
        """End the engine after a bug in trtasync, so that no caller waits forever."""
        message = f"internal error in trtasync, please report it: {error!r}"
        log.critical("%s: %s", self._name, message, exc_info=error)
        self.broken = True
        failure = TrtasyncError(message)
        self._intake.refuse(failure)
        for batch in self.running():
            self._completion.fail_batch(batch, failure)
        self.fail_waiting(failure)

    def running(self) -> list[Batch[Slot]]:
        """All batches on all lanes."""
        batches = [batch for worker in self._workers for batch in worker.state.running]
        return cast(list[Batch[Slot]], batches)

    def fail_waiting(self, error: TrtasyncError) -> None:
        """Fail every request that is not running."""
        for request in self._policy.drain():
            self._completion.fail(cast(Reservation, request), error)

    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs (or ever will, after a bug)."""
        return self.broken or not (self._policy.in_flight or self._policy.unanswered())
