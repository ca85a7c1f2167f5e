"""Every case through an engine, in three ways."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.judging.judgements import Judgement
from tests.judging.oracles import Feed, NotRun, Oracle, RowOracle, judge
from tests.onnx_backend.cases import Case, requests, single_rows, with_batch_axis


class Way(StrEnum):
    """How a model is declared and what it is asked."""

    DECLARED = "as declared"
    DYNAMIC = "batch axis made dynamic"
    SINGLE = "single rows for a fixed batch"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that ONNX Runtime runs, and requests that it takes."""

    case: Case
    data: bytes
    oracle: Oracle
    feeds: Sequence[Feed]


def prepared(case: Case, way: Way) -> Prepared | None:
    """None when ONNX Runtime itself does not run it so."""
    try:
        ready = _PREPARE[way](case)
    except NotRun:
        return None
    return ready if ready and ready.feeds else None


def _as_declared(case: Case) -> Prepared:
    data = case.model.SerializeToString()
    oracle = Oracle(data)
    return Prepared(case, data, oracle, requests(case, oracle))


def _with_dynamic_axis(case: Case) -> Prepared | None:
    if (rewritten := with_batch_axis(case.model, case.inputs)) is None:
        return None
    model, batched = rewritten
    data = model.SerializeToString()
    oracle = Oracle(data)
    return Prepared(case, data, oracle, requests(case, oracle, batched))


def _with_single_rows(case: Case) -> Prepared | None:
    if (rewritten := with_batch_axis(case.model, case.inputs)) is None:
        return None
    _, batched = rewritten
    data = case.model.SerializeToString()
    oracle = RowOracle(data, batched, len(case.inputs[batched[0]]))
    return Prepared(case, data, oracle, single_rows(case, oracle, batched))


_PREPARE = {
    Way.DECLARED: _as_declared,
    Way.DYNAMIC: _with_dynamic_axis,
    Way.SINGLE: _with_single_rows,
}


async def judged(cases: Iterable[Case], way: Way) -> list[Judgement]:
    """A judgement on every case that ONNX Runtime runs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        found = []
        for ready in _all_prepared(cases, way):
            path.write_bytes(ready.data)
            case = ready.case
            found.append(await judge(case.name, path, ready.oracle, ready.feeds, case.traits))
        return found


def _all_prepared(cases: Iterable[Case], way: Way) -> Iterator[Prepared]:
    found = (prepared(case, way) for case in cases)
    return (ready for ready in found if ready is not None)
