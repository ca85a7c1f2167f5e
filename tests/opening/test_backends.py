"""A backend gets a name by one row of a table: it is then opened, checked and tuned by it."""

from pathlib import Path
from typing import Any, get_args

import pytest

from support.helpers import MODELS
from trtasync import InvalidInput, PlanError, open_engine
from trtasync.inspection import check_model
from trtasync.opening.backends import BACKENDS, BackendName, NamedBackend
from trtasync.runtimes.onnxruntime import load
from trtasync.runtimes.onnxruntime.backend import OnnxRuntimeBackend
from trtasync.tune import Settings
from trtasync.tune.subject import examine

pytestmark = pytest.mark.anyio

GATHER = MODELS / "gather.onnx"


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was opened on the backend "mine", and on how many threads."""
    found: list[Any] = []

    def load_mine(model: Path | bytes, threads: int) -> OnnxRuntimeBackend:
        found.append((model, threads))
        backend = load(model, threads)
        backend.name = "mine"
        return backend

    monkeypatch.setitem(BACKENDS, "mine", NamedBackend(load=load_mine, largest_batch=4))
    return found


def test_the_type_names_what_the_table_has() -> None:
    assert get_args(BackendName) == ("auto", *BACKENDS)


async def test_a_backend_of_the_table_is_opened_by_its_name(loaded: list[Any]) -> None:
    mine: Any = "mine"
    yours: Any = "yours"
    for model in (GATHER, GATHER.read_bytes()):
        async with open_engine(model, backend=mine, threads=1) as engine:
            assert engine.batching.batched
    assert loaded == [(GATHER, 1), (GATHER.read_bytes(), 1)]
    with pytest.raises(InvalidInput, match="no devices"):
        await open_engine(GATHER, backend=mine, devices=[0])
    with pytest.raises(PlanError, match="backend='mine' needs"):
        await open_engine("m.plan", backend=mine)
    with pytest.raises(InvalidInput, match="'onnxruntime', 'mine'; got 'yours'"):
        open_engine(GATHER, backend=yours)


def test_it_is_checked_by_its_name(loaded: list[Any]) -> None:
    mine: Any = "mine"
    report = check_model(GATHER, backend=mine, seconds=60)
    assert report.backend == "mine"
    assert report.well
    assert [model for model, _ in loaded] == [GATHER]


async def test_tuning_asks_the_table_what_there_is_to_try(loaded: list[Any]) -> None:
    subject = await examine(GATHER, Settings(), {"backend": "mine"})
    assert subject.backend == "mine"
    assert subject.space.max_batch_size == (1, 2, 4)
    assert (subject.space.graphs, subject.space.threads) == ((None,), (None,))
    for settings, word in (
        (Settings(graphs=[True]), "CUDA graphs"),
        (Settings(threads=[1]), "CPU"),
    ):
        with pytest.raises(InvalidInput, match=word):
            await examine(GATHER, settings, {"backend": "mine"})
