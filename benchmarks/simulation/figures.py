"""The figures of one run."""

from dataclasses import dataclass

from benchmarks.simulation.world import Record
from trtasync.measure.statistics import tail

WARM_UP = 0.1
"""Share of a run's time that is not counted: policies learn, queues fill."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of one policy.

    Attributes:
        throughput: answers per second.
        p50: median latency in seconds; likewise `p90` and `p99`.
        goodput: answers within the patience per second.
        batch: mean rows of a batch.
        busy: share of the time in which a device had work, mean over devices.
    """

    throughput: float
    p50: float
    p90: float
    p99: float
    goodput: float
    batch: float
    busy: float


def figures(record: Record, patience: float, devices: int) -> Figures:
    """Of the requests that came after the warm-up; rates over the time in which requests came."""
    first, last = record.arrived[0], record.arrived[-1]
    begin = first + WARM_UP * (last - first)
    window = last - begin
    waits = sorted(wait for born, wait in record.waits if born >= begin)
    answers = sum(begin <= born + wait <= last for born, wait in record.waits)
    in_time = sum(wait <= patience for wait in waits)
    return Figures(
        throughput=answers / window,
        p50=tail(waits, 0.50),
        p90=tail(waits, 0.90),
        p99=tail(waits, 0.99),
        goodput=in_time / window,
        batch=sum(record.batches) / max(1, len(record.batches)),
        busy=record.busy / record.ended / devices if record.ended else 0.0,
    )
