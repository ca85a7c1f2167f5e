"""The simulated device against what was measured on the real one."""

import itertools
import json
from random import Random

import pytest

from benchmarks.report import RESULTS
from benchmarks.simulation.costs import Cost, measured
from benchmarks.simulation.device import Device, Run

CELLS = json.loads((RESULTS / "gpu_streams.json").read_text())["summary"]["cells"]
SIZES = (1, 2, 4, 8, 16, 32, 64)
NEAR = 0.12


def simulated(cost: Cost, rows: int, streams: int, batches: int = 2000) -> float:
    """Seconds per batch, streams kept busy with one batch each, whose times vary a little."""
    chance, device = Random(1), Device()

    def add(lane: int) -> None:
        own, shared = (part(rows) * chance.uniform(0.95, 1.05) for part in (cost.own, cost.shared))
        device.add(Run(None, lane, own, shared), device.now)

    for lane in range(streams):
        add(lane)
    done = 0
    while done < batches:
        for run in device.step():
            done += 1
            add(run.lane)
    return device.now / done


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("streams", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", SIZES)
def test_the_model_of_streams_is_near_the_measurement(dtype: str, streams: int, rows: int) -> None:
    cell = CELLS[f"{dtype}/{streams} streams, depth 1/{rows} rows"]
    real = cell["batch_us"]["median"] * 1e-6
    assert simulated(measured(dtype).cost, rows, streams) == pytest.approx(real, rel=NEAR)


def test_between_sizes_measured_times_lie_on_lines() -> None:
    found = measured()
    assert found.rows == SIZES
    for before, after in itertools.pairwise(SIZES):
        middle = found.cost.seconds((before + after) // 2)
        assert found.cost.seconds(before) <= middle <= found.cost.seconds(after)
    assert found.cost.own(16) + found.cost.shared(16) == found.cost.seconds(16)
