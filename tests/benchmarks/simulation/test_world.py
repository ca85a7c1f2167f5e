"""The simulator against formulas, and what must hold for every policy in it."""

from dataclasses import replace
from math import inf
from statistics import fmean

import pytest

from benchmarks.simulation.arrivals import CLOSED, source
from benchmarks.simulation.costs import linear
from benchmarks.simulation.device import Device, Run
from benchmarks.simulation.ours import Ours
from benchmarks.simulation.scenarios import MAIN, SCENARIOS, Conditions, Scenario
from benchmarks.simulation.schedulers import FixedDelay, no_batching
from benchmarks.simulation.study import POLICIES, Point, fixed_delays
from benchmarks.simulation.world import World
from tests.benchmarks.simulation.helpers import (
    MS,
    PLAIN,
    TWO_DEVICES,
    TWO_STREAMS,
    Spy,
    latencies,
    serve,
    some,
)

ALL = {**POLICIES, **fixed_delays(PLAIN)}


# -- against formulas ----------------------------------------------------------------------------


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_without_batching_it_is_an_m_d_1_queue(load: float) -> None:
    one = replace(PLAIN, largest=1)
    record = serve(no_batching(one), some(load, one, count=60_000), one)
    service = one.seconds(1)
    expected = service + load * service / (2 * (1 - load))  # Pollaczek and Khinchine
    assert fmean(latencies(record)) == pytest.approx(expected, rel=0.05)
    assert record.busy / record.ended == pytest.approx(load, rel=0.03)


@pytest.mark.parametrize("rate", [1000, 3000, 6000])
def test_take_all_when_idle_stays_below_the_bound_of_inoue_and_near_it(rate: float) -> None:
    """Inoue, Performance Evaluation 2021 (arXiv 1912.06322), for t(n) = each n + first."""
    each, first = 0.1 * MS, 1.0 * MS
    used = rate * each
    bound = 1.5 * first / (1 - used) + each / 2 * (used + 2) / (1 - used * used)
    record = serve(Ours(PLAIN), some(rate / PLAIN.rate, count=20_000))
    mean = fmean(latencies(record))
    assert 0.88 * bound < mean < 1.02 * bound


# -- devices -------------------------------------------------------------------------------------


def ends(*runs: Run) -> list[float]:
    device = Device()
    for run in runs:
        device.add(run, 0.0)
    while device.next_at < inf:
        device.step()
    return [run.ended for run in runs]


def test_a_batch_alone_takes_its_own_and_its_shared_time() -> None:
    assert ends(Run("a", 0, own=1.0, shared=2.0)) == pytest.approx([3.0])


def test_streams_share_the_shared_part_only() -> None:
    # both are at their own parts until 1; then each has half of the device
    assert ends(Run("a", 0, 1.0, 2.0), Run("b", 1, 1.0, 2.0)) == pytest.approx([5.0, 5.0])
    assert ends(Run("a", 0, 0.0, 2.0), Run("b", 1, 2.0, 1.0)) == pytest.approx([2.0, 3.0])


def test_batches_of_one_stream_go_one_after_the_other() -> None:
    first, second = Run("a", 0, 1.0, 1.0), Run("b", 0, 1.0, 1.0)
    assert ends(first, second) == pytest.approx([2.0, 4.0])
    assert second.started == pytest.approx(2.0)


# -- the loop ------------------------------------------------------------------------------------


def test_what_comes_within_one_turn_goes_together() -> None:
    slow = replace(PLAIN, conditions=replace(PLAIN.conditions, turn=0.5 * MS))
    spy = Spy(FixedDelay(TWO_STREAMS, 0.0, 2))
    two = replace(slow, lanes=(0, 0))
    serve(spy, [0.0, 0.1 * MS, 0.2 * MS, 0.4 * MS], two)
    assert spy.went == [(0.0, 1), (0.5 * MS, 3)]


def test_an_answer_is_known_a_hop_after_its_batch() -> None:
    hopping = replace(PLAIN, conditions=replace(PLAIN.conditions, hop=0.2 * MS))
    record = serve(Ours(hopping), [0.0], hopping)
    assert latencies(record) == pytest.approx([1.3 * MS])


def test_alarms_ring_late() -> None:
    late = replace(PLAIN, conditions=replace(PLAIN.conditions, lateness=1 * MS))
    times = [index * 0.1 for index in range(200)]
    waits = latencies(serve(FixedDelay(late, 2 * MS, 1), times, late))
    assert min(waits) >= 3.1 * MS
    assert fmean(waits) == pytest.approx(3.6 * MS, rel=0.05)


def test_outliers_are_as_rare_and_as_long_as_asked() -> None:
    noisy = replace(PLAIN, conditions=replace(PLAIN.conditions, outliers=0.05, outlier=10.0))
    waits = latencies(serve(Ours(noisy), [index * 0.1 for index in range(2000)], noisy))
    long = [wait for wait in waits if wait > 5 * PLAIN.seconds(1)]
    assert len(long) / len(waits) == pytest.approx(0.05, abs=0.015)
    assert long == pytest.approx([11 * MS] * len(long))


# -- every policy --------------------------------------------------------------------------------


@pytest.mark.parametrize("patience", [inf, 20 * MS])
@pytest.mark.parametrize("machine", [PLAIN, TWO_STREAMS, TWO_DEVICES], ids=["1", "2", "devices"])
@pytest.mark.parametrize("name", ALL)
def test_nobody_is_lost(name: str, machine: Scenario, patience: float) -> None:
    rough = replace(machine, conditions=Conditions())
    times = some(1.1, rough, count=1500)
    record = serve(ALL[name](rough, patience), times, rough, patience)
    assert record.arrived == times
    assert len(record.waits) + record.given_up == len(times)
    assert len({born for born, _ in record.waits}) == len(record.waits)
    assert max(record.batches) <= rough.largest
    if patience == inf:
        assert sum(record.batches) == len(times)


@pytest.mark.parametrize("name", ALL)
def test_every_policy_sees_the_same_arrivals_and_repeats_itself(name: str) -> None:
    times = some(0.5, count=500)
    one, two = (serve(ALL[name](PLAIN, inf), times) for _ in range(2))
    assert one == two
    assert one.arrived == times


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("load", [0.1, 0.6, 1.1])
def test_ours_never_leaves_a_device_idle_while_somebody_waits(name: str, load: float) -> None:
    machine = SCENARIOS[name]
    record = serve(Ours(machine), some(load, machine), machine)
    assert record.idle_waits == 0


def test_a_fixed_delay_does() -> None:
    assert serve(FixedDelay(PLAIN, 1 * MS, 1), some(0.3)).idle_waits > 0


@pytest.mark.parametrize("delay", [0.0, 1 * MS, 7 * MS])
def test_a_fixed_delay_is_waited_for_even_when_idle(delay: float) -> None:
    record = serve(FixedDelay(PLAIN, delay, 1), [0.0, 0.1, 0.2])
    assert latencies(record) == pytest.approx([delay + PLAIN.seconds(1)] * 3)


def test_a_full_batch_waits_for_no_delay() -> None:
    record = serve(FixedDelay(PLAIN, 1.0, 1), [0.0] * PLAIN.largest)
    assert latencies(record) == pytest.approx([PLAIN.seconds(32)] * 32)


def test_triton_s_rule_is_a_fixed_delay() -> None:
    record = serve(Ours(PLAIN, 3 * MS), [0.0, 0.1])
    assert latencies(record) == pytest.approx([3 * MS + PLAIN.seconds(1)] * 2)


def test_deferred_batches_go_at_the_last_moment() -> None:
    record = serve(POLICIES["deferred"](PLAIN, inf), [0.0])
    frontrun = PLAIN.patience - PLAIN.seconds(2) - 1.5 * MS
    assert latencies(record) == pytest.approx([frontrun + PLAIN.seconds(1)])


def test_bentoml_looks_once_a_millisecond() -> None:
    """While its first batch runs, and while it waits for company: in whole ticks."""
    spy = Spy(POLICIES["BentoML"](PLAIN, inf))
    serve(spy, [0.0, 0.05 * MS, 0.1 * MS])
    steps = [at / MS for at, _ in spy.went]
    assert steps == pytest.approx([round(step) for step in steps])


def test_in_the_closed_loop_no_client_asks_twice_at_once() -> None:
    machine = SCENARIOS[MAIN]
    asking = source(CLOSED, 0.8 * machine.rate, 3000, machine.seconds(1), "seed")
    record = World(machine, Ours(machine), asking, "seed").run()
    clients = round(0.8 * machine.rate * 21 * machine.seconds(1))
    assert max(record.batches) <= clients
    assert len(record.waits) == len(record.arrived) > clients


def test_a_point_repeats_itself() -> None:
    point = Point(machine=MAIN, process="bursty", load=0.7, seed=3, requests=400)
    assert point.measure() == point.measure()


def test_the_capacity_is_what_full_batches_give() -> None:
    assert PLAIN.rate == pytest.approx(32 / 4.2e-3)
    two = replace(PLAIN, lanes=(0, 0), cost=linear(1 * MS, 0.1 * MS, 0.5))
    assert two.rate == pytest.approx(2 * PLAIN.rate)
