"""The learned cost curve."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtasync.scheduler import CostCurve
from trtasync.scheduler.cost import (
    GAIN,
    OUTLIER,
    TRUST,
    UNKNOWN_CONTENTION,
    UNTRIED,
    WARMING,
    bucket,
)


def learned(*samples: tuple[int, float]) -> CostCurve:
    """A curve that has seen each (rows, seconds) often enough to trust it."""
    curve = CostCurve()
    for rows, seconds in samples:
        for _ in range(WARMING):
            curve.learn(rows, seconds, 0.0)
    return curve


@given(st.integers(1, 1 << 20))
def test_bucket_is_the_power_of_two_at_or_above(rows: int) -> None:
    size = bucket(rows)
    assert size & (size - 1) == 0
    assert size >= rows > size // 2


def test_nothing_known() -> None:
    curve = CostCurve()
    assert curve.seconds(8) == 0.0
    assert curve.bound(8) is None
    assert not curve.known(8)
    assert not curve.fresh(8, -math.inf)


def test_first_slow_run_is_forgotten() -> None:
    curve = CostCurve()
    curve.learn(4, 2.5, 0.0)  # allocates, compiles
    assert curve.seconds(4) == 2.5
    curve.learn(4, 0.011, 0.0)
    assert curve.seconds(4) == 0.011
    curve.learn(4, 0.010, 0.0)
    assert curve.seconds(4) == 0.010


def test_one_outlier_is_bounded_and_forgotten() -> None:
    curve = learned((4, 0.010))
    curve.learn(4, 60.0, 0.0)
    assert curve.seconds(4) <= 0.010 * (1 + GAIN * (OUTLIER - 1))
    for _ in range(10):
        curve.learn(4, 0.010, 0.0)
    assert curve.seconds(4) == pytest.approx(0.010, rel=0.05)


@pytest.mark.parametrize("factor", [0.1, 0.5, 2.0, 10.0])
def test_drift_is_followed_within_a_few_batches(factor: float) -> None:
    curve = learned((4, 0.010))
    for _ in range(15):
        curve.learn(4, 0.010 * factor, 0.0)
    assert curve.seconds(4) == pytest.approx(0.010 * factor, rel=0.15)


def test_a_time_too_short_for_the_clock_is_left_again() -> None:
    curve = learned((4, 0.0))
    for _ in range(15):
        curve.learn(4, 0.010, 0.0)
    assert curve.seconds(4) == pytest.approx(0.010, rel=0.15)


@given(
    st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=30),
    st.integers(1, 64),
)
def test_estimate_stays_within_what_was_seen(samples: list[float], rows: int) -> None:
    curve = CostCurve()
    for seconds in samples:
        curve.learn(rows, seconds, 0.0)
    low, high = min(samples), max(samples)
    assert low * (1 - 1e-9) <= curve.seconds(rows) <= high * (1 + 1e-9)
    bound = curve.bound(rows)
    assert bound is not None
    assert bound >= max(curve.seconds(rows), samples[-1] * (1 - 1e-9))


def test_sizes_of_one_bucket_are_learned_together() -> None:
    curve = learned((5, 0.010))
    assert curve.seconds(8) == curve.seconds(6) == 0.010


def test_seconds_never_guesses_upwards_and_bound_never_downwards() -> None:
    curve = learned((4, 0.010), (16, 0.030))
    assert curve.seconds(8) == 0.010
    assert curve.bound(8) == 0.030
    assert curve.seconds(2) == 0.0
    assert curve.bound(2) == 0.010
    assert curve.seconds(64) == 0.030
    assert curve.bound(64) is None


@pytest.mark.parametrize("size", [1, 4, 16])
def test_a_run_longer_than_expected_bounds_every_size_at_once(size: int) -> None:
    curve = learned((1, 0.0001), (4, 0.0002))
    curve.learn(size, 0.8, 0.0)
    for rows in (1, 2, 4):
        bound = curve.bound(rows)
        assert bound is not None
        assert bound > 0.79
    for _ in range(40):
        curve.learn(1, 0.0001, 0.0)
    assert curve.bound(1) == pytest.approx(0.0001, rel=0.1)


def test_sizes_that_take_longer_because_they_are_larger_surprise_nobody() -> None:
    curve = learned((1, 0.0001), (4, 0.0004), (64, 0.005), (32, 0.003))
    assert curve.bound(1) == 0.0001


def test_a_time_is_believed_twice_as_long_as_it_was_once_found_unchanged() -> None:
    curve = learned((2, 0.1), (8, 0.3))
    assert curve.believed(8, TRUST) == 0.3
    assert curve.believed(8, 1.01 * TRUST) == 0.0
    curve.learn(8, 0.3, 5.0)
    assert curve.believed(8, 5.0 + 9.9) == 0.3
    assert curve.believed(8, 5.0 + 10.1) == 0.0
    curve.learn(2, 0.01, 6.0)  # times have changed
    assert curve.believed(8, 6.01) == curve.seconds(2)
    assert curve.believed(16, 6.01) == curve.seconds(2)
    assert curve.believed(1, 6.01) == 0.0


def test_fresh_is_about_this_size_and_its_last_sample() -> None:
    curve = CostCurve()
    curve.learn(4, 0.010, 5.0)
    assert curve.fresh(4, 5.0)
    assert curve.fresh(3, 5.0)
    assert not curve.fresh(4, 5.1)
    assert not curve.fresh(2, 0.0)
    assert not curve.fresh(8, 0.0)
    for time in (6.0, 7.0, 8.0, 9.0):
        curve.learn(4, 0.010, time)
        assert curve.fresh(4, time)


@given(
    st.floats(0.0, 1.0),
    st.lists(st.tuples(st.floats(1.0, 3.0), st.integers(2, 4)), min_size=30, max_size=60),
)
def test_contention_is_the_part_that_takes_turns(
    part: float, beside: list[tuple[float, int]]
) -> None:
    curve = learned((4, 1.0))
    curve.learn_contention(4, 1.0, 1.0, 0.0)
    for _, others in beside:
        # all of its time beside others: 1 + part (elapsed - elapsed / others) = elapsed
        elapsed = 1.0 / (1 - part * (1 - 1 / others))
        curve.learn_contention(4, elapsed, elapsed / others, 0.0)
    assert curve.contention(4, 0.0) == pytest.approx(part, abs=0.01)


@given(
    st.lists(
        st.tuples(st.integers(1, 64), st.floats(0.0, 10.0), st.floats(0.0, 1.0), st.floats(0, 5)),
        max_size=30,
    )
)
def test_contention_stays_a_part(samples: list[tuple[int, float, float, float]]) -> None:
    curve = learned(*((size, 0.1 * size) for size in (1, 2, 4, 8, 16, 32, 64)))
    now = 0.0
    for rows, elapsed, share, later in samples:
        now += later
        curve.learn_contention(rows, elapsed, share * elapsed, now)
        assert 0.0 <= curve.contention(rows, now) <= 1.0


def test_contention_is_unknown_before_it_is_measured_and_a_second_after() -> None:
    curve = learned((4, 1.0))
    assert curve.contention(4, 0.0) == UNTRIED  # it has to be alone first
    curve.learn_contention(4, 2.0, 1.0, 0.0)  # the time alone is not known yet
    assert curve.contention(4, 0.0) == UNTRIED
    curve.learn_contention(4, 1.0, 1.0, 0.0)
    assert curve.contention(4, 0.0) == UNKNOWN_CONTENTION
    assert curve.contention(64, 0.0) == UNTRIED
    curve.learn_contention(4, 2.0, 1.0, 0.0)
    assert curve.contention(4, 0.99 * TRUST) == 1.0
    assert curve.contention(4, TRUST) == UNKNOWN_CONTENTION


def test_contention_of_a_size_not_measured_is_that_of_the_nearest() -> None:
    curve = learned((2, 1.0), (16, 1.0), (64, 1.0))
    for size, elapsed in ((2, 1.0 / 0.9), (64, 2.0)):
        curve.learn_contention(size, 1.0, 1.0, 0.0)
        curve.learn_contention(size, elapsed, elapsed / 2, 0.0)
    assert curve.contention(1, 0.0) == curve.contention(4, 0.0) == curve.contention(2, 0.0)
    assert curve.contention(32, 0.0) == curve.contention(64, 0.0) == 1.0
    assert curve.contention(2, 0.0) == pytest.approx(0.2)


def test_one_pause_does_not_spoil_the_time_alone() -> None:
    curve = learned((4, 1.0))
    for _ in range(5):
        curve.learn_contention(4, 1.0, 1.0, 0.0)
    curve.learn_contention(4, 1000.0, 1000.0, 0.0)
    curve.learn_contention(4, 2.0, 1.0, 0.0)
    alone = 1.0 + GAIN * (OUTLIER - 1.0)
    assert curve.contention(4, 0.0) == pytest.approx(2.0 - alone)


def test_a_pause_does_not_look_like_contention_for_long() -> None:
    curve = learned((4, 1.0))
    curve.learn_contention(4, 1.0, 1.0, 0.0)
    for _ in range(10):
        curve.learn_contention(4, 1.1, 0.55, 0.0)
    before = curve.contention(4, 0.0)
    curve.learn_contention(4, 1000.0, 500.0, 0.0)
    assert curve.contention(4, 0.0) <= before + GAIN
    for _ in range(10):
        curve.learn_contention(4, 1.1, 0.55, 0.0)
    assert curve.contention(4, 0.0) == pytest.approx(before, abs=0.05)


def test_after_a_second_the_first_measurement_counts_in_full() -> None:
    curve = learned((4, 1.0))
    curve.learn_contention(4, 1.0, 1.0, 0.0)
    for _ in range(20):
        curve.learn_contention(4, 2.0, 1.0, 0.0)
    curve.learn_contention(4, 1.0, 0.5, TRUST)
    assert curve.contention(4, TRUST) == 0.0
    curve.learn_contention(4, 2.0, 1.0, 1.5 * TRUST)  # one of many again
    assert curve.contention(4, 1.5 * TRUST) == pytest.approx(GAIN)


@pytest.mark.parametrize("share", [0.76, 0.8, 0.89])
def test_a_batch_that_was_hardly_disturbed_says_nothing(share: float) -> None:
    curve = learned((4, 1.0))
    curve.learn_contention(4, 1.0, 1.0, 0.0)
    curve.learn_contention(4, 1.5, 0.75, 0.0)
    before = curve.contention(4, 0.0)
    for _ in range(20):
        curve.learn_contention(4, 5.0, 5.0 * share, 0.0)
    assert curve.contention(4, 0.0) == before
    curve.learn_contention(4, 1.5, 0.75, 0.0)
    assert curve.contention(4, 0.0) == pytest.approx(before)  # nor did it count as alone


def test_contention_needs_a_known_size_and_time_that_passed() -> None:
    curve = CostCurve()
    for elapsed, share in ((1.0, 1.0), (2.0, 1.0)):
        curve.learn_contention(4, elapsed, share, 0.0)
    assert curve.contention(4, 0.0) == UNTRIED
    assert not curve.known(4)
    curve = learned((4, 0.0))
    curve.learn_contention(4, 0.0, 0.0, 0.0)
    assert curve.contention(4, 0.0) == UNTRIED


def test_a_stale_size_is_like_the_nearest_fresh_one() -> None:
    curve = learned((4, 1.0), (64, 1.0))
    for rows, elapsed, now in ((4, 1.0 / 0.9, 0.0), (64, 2.0, 0.9 * TRUST)):
        curve.learn_contention(rows, 1.0, 1.0, now)
        curve.learn_contention(rows, elapsed, elapsed / 2, now)
    assert curve.contention(4, 0.9 * TRUST) == pytest.approx(0.2)
    assert curve.contention(4, 1.1 * TRUST) == 1.0
    assert curve.contention(4, 2 * TRUST) == UNKNOWN_CONTENTION


def test_the_first_slow_run_is_no_measure_of_the_time_alone() -> None:
    """It allocates and compiles; what takes turns entirely then seems not to for many batches."""
    curve = CostCurve()
    for seconds in (2.5, 0.010, 0.010, 0.010):
        curve.learn(4, seconds, 0.0)
        curve.learn_contention(4, seconds, seconds, 0.0)
    for _ in range(10):
        curve.learn_contention(4, 0.020, 0.010, 0.0)
    assert curve.contention(4, 0.0) > 0.5
