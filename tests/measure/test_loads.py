"""Loads: what was asked for on the command line, when requests are due."""

import re

import numpy as np
import pytest

from trtasync import InvalidInput
from trtasync.measure.loads import (
    Closed,
    Open,
    read_concurrency,
    read_numbers,
    read_rates,
    read_seconds,
)


def test_constant_arrivals_are_evenly_spaced() -> None:
    due = Open(100, "constant").schedule(100, 2.0, seed=1)
    np.testing.assert_allclose(np.diff(due), 0.01)
    assert (due[0], len(due)) == (0.0, 200)


def test_poisson_arrivals_have_the_rate_and_are_the_same_for_the_same_seed() -> None:
    load = Open(1000)
    due = load.schedule(1000, 20.0, seed=1)
    assert np.array_equal(due, load.schedule(1000, 20.0, seed=1))
    assert not np.array_equal(due[:10], load.schedule(1000, 20.0, seed=2)[:10])
    assert len(due) == pytest.approx(20_000, rel=0.05)
    gaps = np.diff(due)
    assert (gaps >= 0).all()
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)  # as exponential ones have it


def test_rates_are_absolute_or_relative() -> None:
    assert read_rates("1000, 50%,0.9x", "constant") == [
        Open(1000, "constant"),
        Open(0.5, "constant", relative=True),
        Open(0.9, "constant", relative=True),
    ]
    assert Open(0.5, relative=True).at(3000.0) == 1500.0
    assert Open(700.0).at(3000.0) == 700.0


def test_concurrency_is_a_list() -> None:
    assert read_concurrency("1,8") == [Closed(1), Closed(8)]
    assert [load.name for load in read_concurrency("1,8")] == ["1 caller", "8 callers"]


@pytest.mark.parametrize(("text", "seconds"), [("20ms", 0.02), ("500us", 5e-4), ("1.5", 1.5)])
def test_times_have_units(text: str, seconds: float) -> None:
    assert read_seconds(text, "--deadline") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "fast", "1,,x", "-5"])
def test_a_bad_rate_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_rates(text, "poisson")


@pytest.mark.parametrize(("text", "part"), [("x", "x"), ("50%,y%", "y%"), ("1%%", "1%%")])
def test_a_bad_rate_is_named_as_it_was_given(text: str, part: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(f"not {part!r}.")):
        read_rates(text, "poisson")


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many"])
def test_a_bad_concurrency_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_concurrency(text)


def test_the_option_is_named() -> None:
    with pytest.raises(InvalidInput, match="--devices"):
        read_numbers("zero", "--devices", int)
    with pytest.raises(InvalidInput, match="--deadline"):
        read_seconds("soon", "--deadline")
