"""What the options of several commands are read as."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtasync import InvalidInput, SharedCache
from trtasync.cli.arguments import (
    cache_of,
    read_batch_axes,
    read_batching,
    read_device,
    read_devices,
    read_limits,
    read_sizes,
)

NAMES = st.text(min_size=1, max_size=12)


@given(st.dictionaries(NAMES, st.none() | st.integers(-5, 5), max_size=4))
def test_batch_axes_are_read_as_they_are_written(axes: dict[str, int | None]) -> None:
    texts = [f"{name}={'none' if axis is None else axis}" for name, axis in axes.items()]
    assert read_batch_axes(texts) == axes


def test_no_batch_axis_says_nothing() -> None:
    assert read_batch_axes(None) == read_batch_axes([]) == {}


@pytest.mark.parametrize(
    "text", ["", "x", "=1", "x=", "x=one", "x=1.0", "x=None", "x=0 1", "x=\N{SUPERSCRIPT TWO}"]
)
def test_what_is_no_batch_axis_is_refused(text: str) -> None:
    with pytest.raises(
        InvalidInput, match=f"takes NAME=AXIS or NAME=none, not {re.escape(repr(text))}"
    ):
        read_batch_axes(["y=0", text])


def test_a_tensor_has_one_batch_axis() -> None:
    with pytest.raises(InvalidInput, match="names 'x' twice"):
        read_batch_axes(["x=0", "y=0", "x=0"])


def test_batching_is_what_open_engine_takes() -> None:
    assert read_batching("auto") == "auto"
    assert read_batching("proved") == "proved"
    assert read_batching("on") is True
    assert read_batching("off") is False


def test_devices_and_sizes() -> None:
    assert read_devices(None) is None
    assert read_devices("0, 2") == [0, 2]
    assert (read_device(None), read_device("3")) == (0, 3)
    assert read_sizes(None) is None
    assert read_sizes("1,8") == [1, 8]
    with pytest.raises(InvalidInput, match=r"one GPU here, e\.g\. 1, not 1,0"):
        read_device("1,0")
    with pytest.raises(InvalidInput, match="--batch-sizes takes numbers"):
        read_sizes("all")


def test_limits_are_seconds_and_bytes() -> None:
    assert read_limits(None, None) == {"run_timeout": None, "max_row_bytes": None}
    assert read_limits("200ms", "64MiB") == {"run_timeout": 0.2, "max_row_bytes": 64 << 20}
    with pytest.raises(InvalidInput, match="--run-timeout"):
        read_limits("soon", None)
    with pytest.raises(InvalidInput, match="is not a size"):
        read_limits(None, "much")


def test_a_cache_is_one_s_own_or_its_owner_s() -> None:
    folder = Path("plans")
    assert cache_of(None, None) is True
    assert cache_of(folder, None) == "plans"
    assert cache_of(folder, "builder") == SharedCache("plans", "builder")
    assert cache_of(folder, "1000") == SharedCache("plans", 1000)
    with pytest.raises(InvalidInput, match="give both"):
        cache_of(None, "builder")
