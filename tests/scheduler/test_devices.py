"""How much of a device is taken, and how much of a batch takes turns, from times alone."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulation.device import Device, Run
from tests.scheduler.harness import MS, AnyBatch, Desk, Slot
from trtasync.scheduler import Batch, LaneState, Queue
from trtasync.scheduler.cost import UNTRIED
from trtasync.scheduler.devices import FULL, DeviceState

ROWS = 4


class Bench:
    """A device of several lanes, with batches of one queue put on and taken off by hand."""

    def __init__(self, *depths: int, contention: float | None = None):
        """contention: as if measured just now; None for untried."""
        self.lanes = [LaneState(index, depth=depth) for index, depth in enumerate(depths)]
        self.device = DeviceState(self.lanes)
        self.queue = Queue()
        self.queue.cost.learn(ROWS, 1.0, 0.0)
        if contention is not None:
            self.queue.cost.learn_contention(ROWS, 1.0, 1.0, 0.0)
            beside = 1.0 / (1 - contention / 2)
            self.queue.cost.learn_contention(ROWS, beside, beside / 2, 0.0)

    def launch(self, lane: int, now: float, rows: int = ROWS) -> AnyBatch:
        batch = Batch(self.queue, Slot())
        batch.lane, batch.run_rows, batch.started = lane, rows, now
        self.device.launched(batch, self.lanes[lane], now)
        return batch

    def finish(self, batch: AnyBatch, now: float, learn: bool = True) -> None:
        self.device.finished(batch, self.lanes[batch.lane], now, learn)

    def share(self, batch: AnyBatch, now: float) -> float:
        """Of the device's clock since it began."""
        device = self.device
        passed = (now - device._at) / device._at_work if device._at_work else 0.0
        return device._clock + passed - batch.share


def test_the_clock_runs_at_one_over_the_number_at_work() -> None:
    bench = Bench(1, 1, 1)
    first = bench.launch(0, 10.0)
    assert bench.share(first, 12.0) == pytest.approx(2.0)
    second = bench.launch(1, 12.0)
    assert bench.share(first, 14.0) == pytest.approx(3.0)
    third = bench.launch(2, 14.0)
    assert bench.share(first, 17.0) == pytest.approx(4.0)
    bench.finish(first, 17.0)
    assert bench.share(second, 19.0) == pytest.approx(3.0)
    bench.finish(third, 19.0)
    assert bench.share(second, 20.0) == pytest.approx(4.0)
    bench.finish(second, 20.0)


def test_the_clock_stands_while_nothing_runs() -> None:
    bench = Bench(1, 1)
    bench.finish(bench.launch(0, 0.0), 1.0)
    later = bench.launch(1, 100.0)
    assert later.began == 100.0
    assert bench.share(later, 101.0) == pytest.approx(1.0)


def test_a_batch_behind_another_begins_when_that_one_ends() -> None:
    bench = Bench(2, 1)
    first, behind = bench.launch(0, 0.0), bench.launch(0, 0.1)
    beside = bench.launch(1, 0.5)
    assert bench.device.running == 3
    assert bench.device.pressure == pytest.approx(2 * UNTRIED)  # heads only
    bench.finish(first, 1.0)
    assert (behind.began, bench.device.running) == (1.0, 2)
    assert bench.device.pressure == pytest.approx(2 * UNTRIED)
    assert bench.share(behind, 2.0) == pytest.approx(0.5)
    bench.finish(beside, 2.0)
    assert bench.device.pressure == pytest.approx(UNTRIED)
    bench.finish(behind, 3.0)
    assert (bench.device.pressure, bench.device.running) == (0.0, 0)


def test_a_batch_that_ends_before_the_head_of_its_lane_changes_nothing_of_the_clock() -> None:
    """It never began: it was refused at its launch."""
    bench = Bench(2, 1, contention=0.6)
    head, behind = bench.launch(0, 0.0), bench.launch(0, 0.1)
    bench.finish(behind, 0.2, learn=False)
    assert (bench.device.running, bench.lanes[0].running) == (1, [head])
    assert bench.device.pressure == pytest.approx(head.pressure)
    assert bench.share(head, 1.0) == pytest.approx(1.0)
    bench.finish(head, 1.0)
    assert (bench.device.pressure, bench.device.running) == (0.0, 0)


@pytest.mark.parametrize(
    ("contention", "room"), [(0.0, math.inf), (0.25, 4), (0.4, 3), (0.8, 2), (0.9, 1), (1.0, 1)]
)
def test_so_many_batches_make_it_full(contention: float, room: float) -> None:
    bench = Bench(*[1] * 6, contention=contention)
    for lane in range(6):
        assert bench.device.full == (lane >= room)
        assert bench.device.pressure == pytest.approx(lane * contention)
        bench.launch(lane, 0.0)
    assert FULL < 1


def test_what_fails_teaches_nothing_and_leaves_the_device() -> None:
    bench = Bench(1, 1, contention=0.3)
    first, second = bench.launch(0, 0.0), bench.launch(1, 0.0)
    before = bench.queue.cost.contention(ROWS, 0.0)
    bench.finish(first, 0.9, learn=False)
    assert bench.queue.cost.contention(ROWS, 0.9) == before
    bench.finish(second, 0.95, learn=False)
    assert (bench.device.pressure, bench.device.running) == (0.0, 0)


def test_a_single_lane_has_nobody_to_measure_against() -> None:
    bench = Bench(2)
    first, behind = bench.launch(0, 0.0), bench.launch(0, 0.0)
    assert (bench.device.pressure, bench.device.full) == (0.0, False)
    bench.finish(first, 1.0)
    bench.finish(behind, 2.0)
    assert bench.queue.cost.contention(ROWS, 2.0) == UNTRIED
    assert bench.device.running == 0


def test_it_ends_when_the_first_of_its_lanes_does() -> None:
    bench = Bench(1, 1, 1)
    bench.launch(1, 0.0)
    bench.launch(2, 0.4)
    assert bench.device.ends_at(0.5) == pytest.approx(1.0)
    assert bench.device.ends_at(1.2) == pytest.approx(1.2)


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.booleans(), st.floats(0.0, 3.0)), max_size=60
    ),
)
def test_pressure_is_that_of_the_heads_and_none_when_idle(
    depths: list[int], events: list[tuple[int, bool, bool, float]]
) -> None:
    bench = Bench(*depths)
    now = 0.0
    for number, launches, learn, passed in events:
        lane = bench.lanes[number % len(depths)]
        now += passed
        if launches and lane.free:
            bench.launch(lane.index, now)
        elif lane.running:
            bench.finish(lane.running[0 if learn else -1], now, learn)
        running = [lane.running for lane in bench.lanes if lane.running]
        assert bench.device.running == sum(map(len, running))
        wanted = sum(batches[0].pressure for batches in running) if len(depths) > 1 else 0.0
        assert bench.device.pressure == pytest.approx(wanted, abs=1e-9)
        if not running:
            assert bench.device.pressure == 0.0
        for batches in running if len(depths) > 1 else []:
            assert 0.0 <= bench.share(batches[0], now) <= now - batches[0].began + 1e-9


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    part=st.floats(0.0, 1.0),
    lanes=st.integers(2, 4),
    seed=st.integers(0, 1000),
)
def test_what_is_learned_on_a_device_of_two_parts(part: float, lanes: int, seed: int) -> None:
    """Batches have work of their own and shared work that takes turns. What the policy sees are
    the times at which they begin and end."""
    chance, bench, device = Random(seed), Bench(*[1] * lanes), Device()

    def add(lane: int, now: float) -> None:
        alone = chance.uniform(0.9, 1.1) * MS
        device.add(Run(bench.launch(lane, now), lane, (1 - part) * alone, part * alone), now)

    def step() -> list[int]:
        ended = device.step()
        for run in ended:
            bench.finish(run.what, device.now)
        return [run.lane for run in ended]

    for _ in range(10):  # alone
        add(0, device.now)
        while not step():
            pass
    for lane in range(lanes):
        add(lane, device.now + chance.uniform(0, 0.1) * MS)
    learned = []
    for _ in range(500):
        for lane in step():
            add(lane, device.now)
            learned.append(bench.queue.cost.contention(ROWS, device.now))
    found = sum(learned[100:]) / len(learned[100:])
    # Where the shared parts alone keep the device full, a batch waits for all the others' of them:
    # what takes turns then seems to be more than the part of it that does. Where they do not, they
    # may fall into step and hardly meet.
    saturated = (lanes * part - 1) / ((lanes - 1) * part) if part else 0.0
    assert part - 0.28 <= found <= max(part, saturated) + 0.18
    if part >= 0.9:
        assert found == pytest.approx(part, abs=0.1)


def test_what_ran_on_a_dead_lane_is_not_at_work_any_more() -> None:
    queue = Queue()
    desk = Desk(max_batch_size=1, lanes=3, homes=(None,) * 6)
    for _ in range(3):
        desk.submit(queue)
    assert len(desk.launch()) == 3
    (device,) = desk.policy._devices.values()
    assert device.full
    desk.lane_died(0)
    desk.lane_died(1)
    assert (device.running, device.pressure) == (1, UNTRIED)
    desk.finish(desk.running[0])
    assert (device.running, device.pressure) == (0, 0.0)
    desk.submit(queue)
    desk.run()
    assert len(desk.answered) == 2


def test_devices_are_apart() -> None:
    queue = Queue()
    lanes = [LaneState(0, device=0), LaneState(1, device=0), LaneState(2, device=1)]
    desk = Desk(max_batch_size=1, lanes=lanes, homes=(None,) * 6)
    for _ in range(3):
        desk.submit(queue)
    batches = desk.launch()
    one, other = desk.policy._devices[0], desk.policy._devices[1]
    assert (one.running, other.running) == (2, 1)
    assert one.pressure == pytest.approx(2 * UNTRIED)
    assert other.pressure == 0.0  # a single lane
    for batch in batches:
        desk.finish(batch, 1 * MS)
    assert (one.pressure, one.running, other.running) == (0.0, 0, 0)
