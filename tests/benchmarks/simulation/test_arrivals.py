"""Arrival processes: their rates, their order, their burstiness, their repeatability."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import fmean, pvariance

import pytest

from benchmarks.simulation.arrivals import CLOSED, PROCESSES, ClosedLoop, recorded, source

RATE = 2000.0
COUNT = 20_000


def dispersion(times: list[float], width: float) -> float:
    """Variance over mean of the counts in windows: 1 for a Poisson process."""
    counted = Counter(int(at / width) for at in times)
    counts = [counted[index] for index in range(int(times[-1] / width))]
    return pvariance(counts) / fmean(counts)


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_has_its_mean_rate_and_comes_in_order(name: str) -> None:
    times = PROCESSES[name](RATE, COUNT, Random(1))
    assert len(times) == COUNT
    assert times == sorted(times)
    assert COUNT / times[-1] == pytest.approx(RATE, rel=0.08)


@pytest.mark.parametrize("name", PROCESSES)
def test_the_same_seed_gives_the_same_arrivals(name: str) -> None:
    one, two, other = (PROCESSES[name](RATE, 500, Random(seed)) for seed in (1, 1, 2))
    assert one == two != other


def test_bursts_are_bursts() -> None:
    spread = {
        name: dispersion(make(RATE, COUNT, Random(3)), 0.02) for name, make in PROCESSES.items()
    }
    assert spread["poisson"] == pytest.approx(1.0, abs=0.15)
    assert all(spread[name] > 2 for name in ("bursty", "diurnal", "trace"))


def test_a_recorded_trace_is_repeated_and_stretched(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text("10.0\n10.5\n12.0\n13.0\n")
    times = recorded(path)(8.0, 8, Random(0))
    gaps = [after - before for before, after in pairwise(times)]
    assert len(times) == 8
    assert times[0] == 0.0
    assert gaps[:3] == pytest.approx(gaps[4:7])
    assert gaps[1] == pytest.approx(3 * gaps[0])
    with pytest.raises(ValueError, match="two different times"):
        recorded(_written(tmp_path / "short.txt", "1.0\n1.0\n"))


def test_a_client_of_the_closed_loop_asks_again_after_its_answer_only() -> None:
    loop = ClosedLoop(1, 0.1, 100.0, "seed")
    first = loop.next_at
    client = loop.take()
    assert loop.next_at == float("inf")
    loop.answered(client, first + 5.0)
    assert loop.next_at > first + 5.0


def test_a_client_thinks_equally_long_whatever_its_answers_take() -> None:
    def thoughts(answer: float) -> list[float]:
        loop, found, now = ClosedLoop(1, 0.1, 100.0, "seed"), [], 0.0
        for _ in range(20):
            found.append(loop.next_at - now)
            now = loop.next_at + answer
            loop.answered(loop.take(), now)
        return found

    assert thoughts(0.001) == pytest.approx(thoughts(0.3))


def test_the_closed_loop_has_as_many_clients_as_its_rate_needs() -> None:
    asking = source(CLOSED, 1000.0, 100, 0.001, "seed")
    assert isinstance(asking, ClosedLoop)
    assert len(asking._chances) == 21


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
