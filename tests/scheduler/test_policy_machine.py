"""The policy against a naive model, in virtual time, under everything that can happen at once."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.scheduler.harness import MS
from tests.scheduler.machine import COSTS, PolicyMachine, lane_lists
from trtasync.scheduler.requests import LEVELS


class CuttingMachine(PolicyMachine):
    """The same where padding costs so much that many batches are cut."""

    @initialize(
        lanes=lane_lists,
        slots_per_lane=st.integers(2, 4),
        owned=st.sampled_from(["pooled", "owned", "mixed"]),
        capacity=st.sampled_from([8, 6]),
    )
    def begin(
        self, lanes: list[tuple[int, int]], slots_per_lane: int, owned: str, capacity: int
    ) -> None:
        costs = ((0.1 * MS, 1 * MS), (0.3 * MS, 2 * MS), (0.2 * MS, 0.8 * MS))
        self.open(costs, lanes, slots_per_lane, owned, capacity, "powers of two", 0.0, 0.0, True)


class CrowdedMachine(PolicyMachine):
    """The same with a short queue, and requests of all priorities that fill it."""

    @initialize(
        slots=st.integers(1, 3),
        owned=st.sampled_from(["pooled", "owned"]),
        capacity=st.sampled_from([4, 3, 2]),
        warm=st.booleans(),
    )
    def begin(self, slots: int, owned: str, capacity: int, warm: bool) -> None:
        self.open(COSTS, [(0, 1)], slots, owned, capacity, "half", 0.0, 0.0, warm, limit=12)

    @precondition(PolicyMachine.alive)
    @rule(
        queue=st.integers(0, len(COSTS) - 1),
        requests=st.lists(st.tuples(st.integers(1, LEVELS), st.integers(1, 5)), max_size=8),
        slack=st.sampled_from([math.inf, math.inf, 3 * MS, 30 * MS]),
    )
    def rush(self, queue: int, requests: list[tuple[int, int]], slack: float) -> None:
        for level, rows in requests:
            self.submit(queue, rows, level, slack)


TestPolicy = PolicyMachine.TestCase
TestPolicy.settings = settings(
    max_examples=300, stateful_step_count=60, deadline=None, derandomize=True
)

TestCutting = CuttingMachine.TestCase
TestCutting.settings = settings(
    max_examples=300, stateful_step_count=50, deadline=None, derandomize=True
)

TestCrowded = CrowdedMachine.TestCase
TestCrowded.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, derandomize=True
)
