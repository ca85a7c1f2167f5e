"""The machines on which policies are compared."""

from bisect import bisect_left
from dataclasses import dataclass

from benchmarks.simulation.costs import Cost, linear, measured, steps

MS = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What stands between a policy and its devices, the same for every policy.

    Attributes:
        turn: seconds of one loop iteration; what arrives meanwhile is seen together at its end.
        hop: seconds from the end of a batch until the loop knows.
        lateness: a timer fires up to this many seconds late, evenly spread: asyncio waits in whole
            milliseconds.
        spread: relative standard deviation (log-normal) of a batch's time.
        outliers: share of batches that take `outlier` times as long.
    """

    turn: float = 20e-6
    hop: float = 40e-6
    lateness: float = 1.05 * MS
    spread: float = 0.03
    outliers: float = 0.001
    outlier: float = 4.0


QUIET = Conditions(turn=0.0, hop=0.0, lateness=0.0, spread=0.0, outliers=0.0)
"""A machine out of a textbook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A model on a machine.

    Attributes:
        name: for tables.
        cost: t(batch).
        lanes: the device of every stream.
        depth: batches a stream takes at once.
        largest: rows of the largest batch.
        sizes: the only sizes run (padded up to); empty for any.
        slots: per lane; they are the lane's own.
        lead: the engine's, see `PolicyOptions.lead`.
        patience: seconds within which an answer counts as goodput.
        conditions: see there.
    """

    name: str
    cost: Cost
    lanes: tuple[int, ...] = (0,)
    depth: int = 1
    largest: int = 32
    sizes: tuple[int, ...] = ()
    slots: int = 2
    lead: float = 0.1 * MS
    patience: float = 20 * MS
    conditions: Conditions = Conditions()

    def run_rows(self, rows: int) -> int:
        """The rows run for a batch of this many."""
        return self.sizes[bisect_left(self.sizes, rows)] if self.sizes else rows

    def seconds(self, rows: int) -> float:
        """The time of a batch of this many rows, alone, padding included."""
        return self.cost.seconds(self.run_rows(rows))

    @property
    def devices(self) -> int:
        """The number of devices."""
        return max(self.lanes) + 1

    @property
    def rate(self) -> float:
        """Rows per second at most: full batches on all streams."""
        by_streams = len(self.lanes) / self.cost.seconds(self.largest)
        by_devices = self.devices / self.cost.shared(self.largest)
        return self.largest * min(by_streams, by_devices)


_COST = measured().cost
_BUCKETS = (1, 2, 4, 8, 16, 32, 64)


def _resnet(name: str, lanes: tuple[int, ...]) -> Scenario:
    return Scenario(
        name=f"ResNet-50, {name}",
        cost=_COST,
        lanes=lanes,
        depth=2,
        largest=64,
        sizes=_BUCKETS,
        slots=4,
    )


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        _resnet("3 streams", (0, 0, 0)),
        _resnet("1 stream", (0,)),
        _resnet("2 devices, 2 streams each", (0, 0, 1, 1)),
        Scenario(name="1.0 + 0.1 n ms, 1 stream", cost=linear(1.0 * MS, 0.1 * MS, 0.0)),
        Scenario(
            name="1.0 + 0.1 n ms, 2 streams", cost=linear(1.0 * MS, 0.1 * MS, 0.1), lanes=(0, 0)
        ),
        Scenario(name="2 ms per 8 rows, 2 streams", cost=steps(8, 2 * MS, 0.1), lanes=(0, 0)),
    )
}
MAIN = next(iter(SCENARIOS))
