"""What came of models put to an engine, counted and told."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How an engine did on one model."""

    RIGHT = "right"
    REFUSED = "refused"
    """An error that says the model or the request is not taken."""
    WRONG = "wrong"
    UNCLEAR = "unclear"
    """It hangs, fails where ONNX Runtime does not, or raises what is no error of the library."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of one model.

    Attributes:
        model: its name.
        outcome: see there.
        stage: "open", "alone" or "together": where it was decided.
        detail: the difference or the error; "" when all is right.
        shared: some batch held more than one request.
    """

    model: str
    outcome: Outcome
    stage: str
    detail: str = ""
    shared: bool = False

    def __str__(self) -> str:
        return f"{self.model}: {self.outcome} ({self.stage}): {self.detail}"


Judgements = Sequence[Judgement]


def faults(judgements: Judgements) -> list[str]:
    """What must not be, one line each."""
    bad = (Outcome.WRONG, Outcome.UNCLEAR)
    return [str(judgement) for judgement in judgements if judgement.outcome in bad]


_DIFFERENT = (
    (r"(input|output) (\S+): \w+\[[^]]*\]", r"\1"),
    (r"(input|output) '[^']*'", r"\1"),
    (r"(seq|optional|map)\(.*?\)+", r"\1(...)"),
    (r"got shape \([^)]*\)", "got another shape"),
    (r"'[^']*'|\[[^]]*\]", "..."),
    (r"Invalid Node - \S+", "Invalid Node"),
    (r"\d+", "n"),
)
"""What differs between refusals for the same reason, and what stands for it."""


def reason(judgement: Judgement) -> str:
    """A refusal's first clause without what differs from model to model."""
    kind, _, text = judgement.detail.partition(": ")
    for pattern, common in _DIFFERENT:
        text = re.sub(pattern, common, text)
    return f"{kind}: {re.split(r'[;:] |[.](?: |$)', text)[0]}"


def summary(judgements: Judgements) -> dict[str, Any]:
    """Counts of outcomes, of models that shared a batch, and of refusals by reason."""
    outcomes = Counter(judgement.outcome for judgement in judgements)
    refused = [judgement for judgement in judgements if judgement.outcome is Outcome.REFUSED]
    return {
        "models": len(judgements),
        **{outcome.value: outcomes[outcome] for outcome in Outcome},
        "shared": sum(judgement.shared for judgement in judgements),
        "refusals": dict(Counter(map(reason, refused)).most_common()),
    }


def told(groups: Mapping[str, Judgements]) -> Iterator[str]:
    """Counts and faults as lines, group by group."""
    for name, judgements in groups.items():
        counts = summary(judgements)
        refusals = counts.pop("refusals")
        yield f"{name}: " + ", ".join(f"{count} {word}" for word, count in counts.items())
        yield from (f"  {count:5} refused: {text}" for text, count in refusals.items())
        yield from (f"  {line}" for line in faults(judgements))
