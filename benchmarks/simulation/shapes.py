"""Two shapes on one machine: short batches with deadlines beside long ones without."""

from random import Random
from typing import Any

from benchmarks.simulation.arrivals import PROCESSES, OpenLoop
from benchmarks.simulation.ours import Ours, Shape
from benchmarks.simulation.scenarios import Scenario
from benchmarks.simulation.schedulers import Launch, Request
from benchmarks.simulation.world import World
from trtasync.scheduler import Queue

LONG = 10.0
"""Times as long a batch of the other shape takes; it is half of the requests."""


class OfTwoShapes(Ours):
    """The engine's policy, told which request has which shape."""

    def __init__(self, machine: Scenario):
        super().__init__(machine)
        self._signatures = [Shape(Queue(), 1) for _ in range(2)]

    def signature(self, request: Request) -> Shape:
        return self._signatures[request.client]


class TwoShapes(World):
    """Client 1 stands for the long shape.

    Attributes:
        hasty: requests with a deadline.
    """

    def __init__(self, *given: Any):
        super().__init__(*given)
        self._shape = Random("shapes")
        self.hasty = 0

    def _expect(self, request: Request) -> None:
        request.client = int(self._shape.random() < 0.5)
        if not request.client:
            self.hasty += 1
            super()._expect(request)

    def _scale(self, launch: Launch) -> float:
        return super()._scale(launch) * (LONG if launch.requests[0].client else 1.0)


def in_time(
    machine: Scenario, process: str, load: float, patience: float, count: int, seed: int
) -> float:
    """The share of requests with a deadline that met it."""
    rate = load * machine.rate / ((1.0 + LONG) / 2)
    name = f"shapes/{process}/{load}/{seed}"
    source = OpenLoop(PROCESSES[process](rate, count, Random(name)))
    world = TwoShapes(machine, OfTwoShapes(machine), source, name, patience)
    return 1.0 - world.run().given_up / world.hasty
