"""What the user says of batching and batch axes."""

from pathlib import Path
from typing import Any

import pytest

from support.helpers import same
from support.onnx_models import Make, constant, node
from tests.rows.serving.runtime import alone, floats
from trtasync import InvalidInput, TrtasyncError, open_engine
from trtasync.rows import Verdict

pytestmark = pytest.mark.anyio


async def test_batch_axes_are_the_user_s_to_name(make: Make) -> None:
    path = make(
        [constant("axis", 1), node("CumSum", ["x", "axis"], ["y"])],
        {"x": ["rows", "T"]},
        {"y": ["rows", "T"]},
    )
    async with open_engine(path, batch_axes={"x": 0}) as engine:
        assert engine.batching.batched
    async with open_engine(path, batch_axes={"x": 1}) as engine:
        assert not engine.batching.batched
        assert same(await engine.infer(floats(3, 5)), alone(path, floats(3, 5))[0])
    async with open_engine(path, batch_axes={"x": None, "y": None}) as engine:
        with pytest.raises(InvalidInput, match="rank 2"):
            await engine.infer(floats(5))


async def test_only_what_is_proved_is_batched_where_that_is_wanted(make: Make) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, {"y": ["N", 4]})
    async with open_engine(path, batching="proved") as engine:
        (finding,) = engine.batching.findings
        assert (engine.batching.batched, finding.verdict) == (True, Verdict.PROVED)


async def test_without_a_budget_only_a_proof_counts(make: Make) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, {"y": ["N", 4]})
    async with open_engine(path, check_seconds=0) as engine:
        assert engine.batching.batched


async def test_batching_without_an_axis_is_refused(make: Make) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": ["N", "N"]}, {"y": ["N", "N"]})
    with pytest.raises(InvalidInput, match="batch_axes"):
        async with open_engine(path, batching=True):
            pass


@pytest.mark.parametrize(
    "options",
    [{"batching": "yes"}, {"batching": 1.5}, {"batch_axes": ["x"]}, {"batch_axes": {"z": 0}},
     {"check_seconds": -1}],
)  # fmt: skip
async def test_nonsense_is_refused(cumulated: Path, options: dict[str, Any]) -> None:
    with pytest.raises(TrtasyncError, match=next(iter(options))):
        async with open_engine(cumulated, **options):
            pass
