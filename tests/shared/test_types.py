"""What type checkers are told of both kinds of engines: checked by mypy, and by what comes."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
import pytest

from support.helpers import row
from tests.shared.joined import joined
from trtasync import AnyEngine, Engine, InvalidInput, connect, open_engine
from trtasync.opening.awaiting import Opening
from trtasync.requests.answers import LentAnswer
from trtasync.testing import ScriptedBackend

Array = npt.NDArray[Any]


async def ask(engine: AnyEngine) -> dict[str, Array]:
    """What serves both."""
    assert_type(await engine.infer(row(1)), Array | Any)
    lent = await engine.infer(row(1), copy=False)
    assert_type(lent, LentAnswer[Array | Any])
    lent.release()
    return await engine.infer({"x": engine.empty_input()})


@pytest.mark.anyio
async def test_whoever_asks_need_not_know_where_it_runs() -> None:
    async with joined() as shared, open_engine(ScriptedBackend()) as own:
        for engine in (shared.engine, own):
            answer = await ask(engine)
            assert isinstance(answer["y"], np.ndarray)


def test_what_is_opened_says_which_kind_it_is(folder: Path) -> None:
    assert_type(open_engine("model.onnx"), Opening[Engine])
    assert_type(open_engine("model.onnx", shared=False), Opening[Engine])
    assert_type(open_engine("model.onnx", shared=True, linger=1), Opening[AnyEngine])
    assert_type(connect(folder / "host.sock"), Opening[AnyEngine])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"shared": "yes"}, "shared"),
        ({"linger": 3}, "linger"),
        ({"reconnect": 3}, "reconnect"),
        ({"shared": True, "linger": -1}, "linger"),
        ({"shared": True, "linger": float("inf")}, "linger"),
        ({"shared": True, "reconnect": None}, "reconnect"),
        ({"shared": True, "reconnect": float("nan")}, "reconnect"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(given: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_engine("model.onnx", **given)
    assert caught.value.name == named
