"""The result of checking a model, output by output, and whether it passed."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trtasync.rows import Batching, Finding, Verdict
from trtasync.rows.accuracy import Agreement, Health

SCHEMA = 1
"""Incremented when a name in the JSON changes its meaning or is removed."""

_ENOUGH: Mapping[Batching, frozenset[Verdict]] = {
    "auto": frozenset({Verdict.PROVED, Verdict.TESTED}),
    "proved": frozenset({Verdict.PROVED}),
    True: frozenset(Verdict),
    False: frozenset(Verdict),
}


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """The result for one output.

    Attributes:
        finding: on its rows; None if they were not examined (`batching=False`).
        health: its NaN and inf values with ordinary inputs.
        agreement: of a plan with ONNX Runtime; None without anything to compare.
    """

    finding: Finding | None
    health: Health
    agreement: Agreement | None = None

    @property
    def name(self) -> str:
        """The name of the output."""
        return self.health.output

    def problems(self, batching: Batching, tolerance: float) -> list[str]:
        """List the problems, in clauses that name the output.

        Args:
            batching: the required finding on the rows.
            tolerance: the largest relative difference that passes.
        """
        found = []
        rows, numbers, agreement = self.finding, self.health, self.agreement
        if rows is not None and rows.verdict not in _ENOUGH[batching]:
            found.append(f"output '{self.name}' is {rows.verdict}: {_evidence(rows)}")
        if numbers.nan or numbers.infinite:
            found.append(
                f"output '{self.name}' has {numbers.nan} NaN and {numbers.infinite} inf among "
                f"{numbers.elements} numbers"
            )
        if agreement is not None and not agreement.relative <= tolerance:
            found.append(agreement.complaint(tolerance))
        return found


def _evidence(finding: Finding) -> str:
    if not finding.beside:
        return finding.why or "without evidence"
    return f"a row beside {finding.beside} changed by {finding.difference:.3g} ({finding.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The result of `check_model`.

    Attributes:
        model: the file.
        plan: the plan whose numbers were compared; "" if there was none.
        backend: the backend that ran the model.
        batching: the requested batching, which determines the verdicts that pass.
        tolerance: the largest `Agreement.relative` that passes.
        axes: input -> its batch axis; None for a shared input.
        proof: why no proof was attempted; "" if it was.
        seconds: the duration of the check.
        outputs: in the model's order.
    """

    model: str
    plan: str
    backend: str
    batching: Batching
    tolerance: float
    axes: Mapping[str, int | None]
    proof: str
    seconds: float
    outputs: tuple[OutputCheck, ...]

    @property
    def problems(self) -> list[str]:
        """All problems, one line each."""
        return [
            line for each in self.outputs for line in each.problems(self.batching, self.tolerance)
        ]

    @property
    def well(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Convert everything for `json.dumps`. A difference is null if shapes differ, or if one
        side is NaN or inf."""
        found: dict[str, Any] = _finite(asdict(self))
        return {
            "name": "trtasync check",
            "schema": SCHEMA,
            "well": self.well,
            "problems": self.problems,
            **found,
        }


def _finite(value: Any) -> Any:
    """Replace values that JSON cannot represent."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
