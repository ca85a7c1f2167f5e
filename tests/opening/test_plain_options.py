"""Options of `open_engine` as plain data, and back: what another process opens is the same."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trtasync import BuilderConfig, Cut, InvalidInput, Pad, Plan, Profile, Shapes, SharedCache
from trtasync.measure.opened import read_options
from trtasync.opening.arguments import check_options
from trtasync.opening.loading import EngineOptions
from trtasync.opening.plain import options_from_plain, options_to_plain


def options(model: Any = "model.onnx", **given: Any) -> EngineOptions:
    """What `open_engine` makes of these arguments."""
    return read_options(model, given)


def again(given: EngineOptions) -> EngineOptions:
    """Through JSON, as between processes."""
    told = json.loads(json.dumps(options_to_plain(given)))
    return options_from_plain("model.onnx", told, given.name)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"backend": "tensorrt-rtx", "devices": [1, 0], "streams": 3, "threads": 2},
        {"max_batch_size": 16, "batch_sizes": [4, 16], "batching": "proved", "name": "a name"},
        {"max_queue_delay": 0.5, "preferred_batch_size": [8], "max_queue_time": 2.5},
        {"batching": False, "batch_axes": {"x": 1, "y": None}},
        {"padding": {"x": Pad(1, sizes=[4, 8], value=-1.5), "y": Pad(-1, multiple_of=64)}},
        {"profiles": Profile({"x": Shapes((1, 3), (2, 3), (4, 3))})},
        {"builder_config": BuilderConfig(flags=["STRICT_NANS"], compute_capabilities=["8.9"])},
        {"cache": SharedCache("/there", "root")},
        {"cache": "/there"},
        {"cache": False, "engine_host_code_allowed": True, "graphs": False},
    ],
)
def test_options_come_back_as_they_were(given: dict[str, Any]) -> None:
    before = options(**given)
    after = again(before)
    check_options(after)
    assert options_to_plain(after) == options_to_plain(before)
    lists: dict[str, Any] = {
        name: list(given[name]) for name in ("devices", "batch_sizes") if name in given
    }
    assert replace(after, **lists) == replace(before, **lists)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"max_queue_delay": 0}, {"max_queue_delay": 0.0}),
        ({"batch_sizes": (1, 2)}, {"batch_sizes": [1, 2]}),
        ({"profiles": "x:1x3,y:2"}, {"profiles": ["y:2,x:1x3"]}),
        ({"padding": {"x": Pad(1, sizes=[2])}}, {"padding": {"x": Pad(1, sizes=(2, 2), value=0)}}),
        ({"cache": "here"}, {"cache": os.path.abspath("here")}),
    ],
)
def test_what_means_the_same_is_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = options_to_plain(options(**one)), options_to_plain(options(**other))
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def test_axes_that_a_plan_was_built_with_come_along() -> None:
    axes = {"x": ("N", 3, None)}
    plan = Plan(Path("a.plan"), "", False, 0.0, "", "", axes=axes)
    assert again(options(model=plan)).model.axes == axes


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"padding": {"x": Pad(1, sizes=[2], outputs={"y": Cut(1, int)})}}, "padding"),
        (
            {"builder_config": BuilderConfig(int8=True, calibrator=object())},
            "builder_config",
        ),
    ],
)
def test_what_cannot_leave_the_process_is_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match="process of a shared engine") as caught:
        options_to_plain(options(**given))
    assert caught.value.name == named
