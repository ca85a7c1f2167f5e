"""A build's progress as bars, and bytes as people write them."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from trtasync import BuildProgress, InvalidInput
from trtasync.cli.bars import BuildBars, Left, WaitingBar, clock
from trtasync.cli.bench_tables import SampleBar
from trtasync.measure import Progress as Sampled
from trtasync.system.sizes import parse_size, written_size

NEWS = [
    BuildProgress("Building", None, 0, 3),
    BuildProgress("Timing", "Building", 0, 5),
    BuildProgress("Timing", "Building", 2, 5),
    BuildProgress("Deep inside", "Timing", 1, 2),
]


def drawn(news: list[BuildProgress], *, shown: bool = True, terminal: bool = True) -> str:
    """What is on the screen after some news."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120, color_system=None)
    with BuildBars(console, shown) as bars:
        for each in news:
            bars(each)
        bars._progress.refresh()
        return file.getvalue()


def last_frame(screen: str) -> str:
    """What was drawn last."""
    return screen.rpartition("Building")[2]


def test_every_phase_has_a_bar_below_its_parent() -> None:
    screen = drawn(NEWS)
    frame = last_frame(screen)
    assert "  Building" not in screen
    assert "  Timing" in frame
    assert "    Deep inside" in frame
    assert "2/5" in frame
    assert "1/2" in frame


def test_a_phase_that_is_over_is_gone() -> None:
    over = BuildProgress("Timing", "Building", 5, 5, finished=True)
    assert "Timing" not in last_frame(drawn([*NEWS[:2], over]))


def test_a_phase_may_come_again() -> None:
    over = BuildProgress("Timing", "Building", 5, 5, finished=True)
    again = BuildProgress("Timing", "Building", 1, 7)
    assert "1/7" in last_frame(drawn([*NEWS[:2], over, again]))


@pytest.mark.parametrize(
    ("steps", "seconds", "left"),
    [(0, 9.0, ""), (1, 60.0, "~03:00 left"), (3, 90.0, "~00:30 left"), (4, 120.0, "")],
)
def test_the_time_left_follows_from_the_steps_so_far(steps: int, seconds: float, left: str) -> None:
    now = 0.0
    progress = Progress(get_time=lambda: now, disable=True)
    task = progress.add_task("steps", total=4)
    now = seconds
    progress.update(task, completed=steps)
    assert Left().render(progress.tasks[0]).plain == left


def test_a_bench_counts_the_time_left_from_its_first_sample() -> None:
    """Opening a model may have taken minutes."""
    now = 0.0
    bar = SampleBar(Console(file=io.StringIO(), get_time=lambda: now), shown=True)
    now = 1200.0
    bar(Sampled(0, 4, "1 caller"))
    now += 10.0
    bar(Sampled(1, 4, "8 callers", 100.0))
    assert Left().render(bar._progress.tasks[0]).plain == "~00:30 left"


def test_work_without_steps_says_what_it_is_and_since_when() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120, color_system=None)
    with WaitingBar(console, True, "checking [m].onnx"):
        pass
    assert "checking [m].onnx" in file.getvalue()
    assert "0:00:00" in file.getvalue()


def test_the_clock() -> None:
    assert [clock(seconds) for seconds in (0.2, 61, 3723)] == ["00:01", "01:01", "01:02:03"]


def test_news_of_an_unknown_phase_do_no_harm() -> None:
    assert "0/3" in drawn([BuildProgress("never begun", None, 1, 1, finished=True), NEWS[0]])


@pytest.mark.parametrize("how", [{"shown": False}, {"terminal": False}])
def test_nothing_is_drawn_where_nobody_looks(how: dict[str, bool]) -> None:
    assert drawn(NEWS, **how) == ""


# -- sizes ----------------------------------------------------------------------------------------

UNITS = {"": 1, "B": 1, "K": 2**10, "KiB": 2**10, "kb": 1000, "M": 2**20, "MiB": 2**20, "MB": 10**6}
UNITS |= {"G": 2**30, "gib": 2**30, "GB": 10**9}


@given(st.integers(0, 2**62), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]))
def test_whole_sizes_are_exact(number: int, unit: str, gap: str) -> None:
    assert parse_size(f"{number}{gap}{unit}") == number * UNITS[unit]


@given(st.integers(0, 2**40), st.integers(0, 9), st.sampled_from(sorted(UNITS)))
def test_decimal_sizes_are_rounded_down(number: int, tenths: int, unit: str) -> None:
    assert parse_size(f"{number}.{tenths}{unit}") == (number * 10 + tenths) * UNITS[unit] // 10


@given(st.integers(0, 2**45))
def test_a_written_size_is_near_the_size(size: int) -> None:
    assert abs(parse_size(written_size(size)) - size) <= max(0.06 * size, 0)


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    try:
        size = parse_size(text)
    except InvalidInput as error:
        refusal = str(error)
    else:
        refusal = "" if size >= 0 else "negative"
    assert not refusal or "is not a size" in refusal


@pytest.mark.parametrize("text", ["", "GiB", "4 gibibytes", "-1", "1e9", "0x10", "4GiBB", "1,5G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a size; write"):
        parse_size(text)
