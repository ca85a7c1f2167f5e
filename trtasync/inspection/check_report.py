"""What a check of a model found, output by output, and whether that is well."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trtasync.rows import Batching, Finding, Verdict
from trtasync.rows.accuracy import Agreement, Health

SCHEMA = 1
"""Raised when a name in the JSON changes its meaning or goes."""

_ENOUGH: Mapping[Batching, frozenset[Verdict]] = {
    "auto": frozenset({Verdict.PROVED, Verdict.TESTED}),
    "proved": frozenset({Verdict.PROVED}),
    True: frozenset(Verdict),
    False: frozenset(Verdict),
}


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """One output.

    Attributes:
        finding: of its rows; None where nobody asked (`batching=False`).
        health: what it holds that is no number, with ordinary inputs.
        agreement: of a plan with ONNX Runtime; None where there was nothing to compare.
    """

    finding: Finding | None
    health: Health
    agreement: Agreement | None = None

    @property
    def name(self) -> str:
        """Of the output."""
        return self.health.output

    def problems(self, batching: Batching, tolerance: float) -> list[str]:
        """What is not well, in clauses that name the output.

        Args:
            batching: what was to be shown of the rows.
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
    """What `check_model` found.

    Attributes:
        model: the file.
        plan: the plan whose numbers were compared; "" where there was none.
        backend: that ran the model.
        batching: what was asked for; it says which verdicts are well.
        tolerance: what `Agreement.relative` may be.
        axes: input -> the axis along which its rows lie; None for one that is shared.
        proof: why there is none of anything; "" where it was looked for.
        seconds: it took.
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
        """What is not well, one line each."""
        return [
            line for each in self.outputs for line in each.problems(self.batching, self.tolerance)
        ]

    @property
    def well(self) -> bool:
        """There is no problem."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for `json.dumps`. A difference that is no number is null: shapes
        differ, or one side is NaN or inf."""
        found: dict[str, Any] = _finite(asdict(self))
        return {
            "name": "trtasync check",
            "schema": SCHEMA,
            "well": self.well,
            "problems": self.problems,
            **found,
        }


def _finite(value: Any) -> Any:
    """The same without what JSON has no word for."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
