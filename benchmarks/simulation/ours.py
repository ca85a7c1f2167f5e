"""trtasync's own policy, driven as the engine drives it."""

from typing import NamedTuple, cast

from benchmarks.simulation.scenarios import Scenario
from benchmarks.simulation.schedulers import Launch, Request
from trtasync.scheduler import Batch, LaneState, Policy, PolicyOptions, Queue


class Shape(NamedTuple):
    """What a request is made of, for the scheduler."""

    queue: Queue
    rows: int


class Slot:
    """A slot of a lane."""

    __slots__ = ("lane",)

    def __init__(self, lane: int | None):
        self.lane = lane


class Ours:
    """The engine's policy: the very code, with lanes and slots like the TensorRT backend's."""

    def __init__(
        self,
        machine: Scenario,
        max_queue_delay: float = 0.0,
        preferred: tuple[int, ...] = (),
        kind: type[Policy[Slot]] = Policy,
    ):
        """Begin with idle streams.

        Args:
            machine: whose streams.
            max_queue_delay: above 0 selects Triton's rule (dynamic_batch_scheduler.cc).
            preferred: Triton's preferred batch sizes.
            kind: another policy, to try it out.
        """
        states = [
            LaneState(index, device, machine.depth) for index, device in enumerate(machine.lanes)
        ]
        options = PolicyOptions(
            max_batch_size=machine.largest,
            batch_sizes=machine.sizes,
            max_queue_size=1_000_000_000,
            max_queue_delay=max_queue_delay,
            preferred_batch_size=preferred,
            lead=machine.lead,
        )
        slots = [Slot(state.index) for state in states for _ in range(machine.slots)]
        self.policy = kind(options, states, slots)
        self._signature = Shape(Queue(), 1)

    @property
    def wake_at(self) -> float:
        return self.policy.wake_at

    def submit(self, request: Request, now: float) -> None:
        request.signature = self.signature(request)
        if not self.policy.hold(request, "deadline" in vars(request)):
            self.policy.place(request)

    def signature(self, request: Request) -> Shape:
        """All have one shape."""
        return self._signature

    def withdraw(self, request: Request, now: float) -> None:
        self.policy.withdraw(request, now)

    def next_batch(self, now: float) -> Launch | None:
        batch = self.policy.next_batch(now)
        self.policy.placements.clear()  # nothing is staged here
        if batch is None:
            return None
        requests = cast(list[Request], batch.entries)
        return Launch(requests, batch.run_rows, batch.lane, batch)

    def finished(self, launch: Launch, now: float, seconds: float) -> None:
        batch: Batch[Slot] = launch.token
        self.policy.finished(batch, now, seconds)
        batch.entries = []
