"""Every case through an engine: as the test declares it, and with a dynamic batch axis."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.onnx_backend.cases import Case, requests, single_rows, with_batch_axis
from tests.oracles import Feed, Judgement, NotRun, Oracle, Outcome, RowOracle, judge


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


def reason(detail: str) -> str:
    """A refusal's first clause without what differs from model to model."""
    clause = re.split(r"[;:] |\. ", detail.partition(": ")[2])[0]
    return re.sub(r"'[^']*'|\"[^\"]*\"|\S+: \S+\[[^]]*\]|[(\[][^)\]]*[)\]]|\d+", "…", clause)


def summary(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Counts of outcomes, of shared batches, and of refusals by reason."""
    outcomes = Counter(judgement.outcome for judgement in judgements)
    refused = Counter(
        (judgement.stage, reason(judgement.detail))
        for judgement in judgements
        if judgement.outcome is Outcome.REFUSED
    )
    return {
        "models": len(judgements),
        **{outcome.value: outcomes[outcome] for outcome in Outcome},
        "shared": sum(judgement.shared for judgement in judgements),
        "refusals": [
            {"stage": stage, "reason": text, "models": count}
            for (stage, text), count in refused.most_common()
        ],
    }


def faults(judgements: Sequence[Judgement]) -> list[str]:
    """What must not be, one line each."""
    return [
        f"{judgement.model}: {judgement.outcome} ({judgement.stage}): {judgement.detail}"
        for judgement in judgements
        if judgement.outcome in (Outcome.WRONG, Outcome.UNCLEAR)
    ]
