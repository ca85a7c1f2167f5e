"""How often are the proof and the check right? Held against random graphs whose truth is known.

    python -m tests.rows.judge --graphs 1000              # a fresh seed, which is printed
    python -m tests.rows.judge --graphs 1 --seed 12345    # the graph 12345 again
    python -m tests.rows.judge --graphs 1000 --json FILE

Exit code 1 where a bound is broken: no coupled output may be proved, at most one in a hundred of
them may be tested, and no independent one may be called anything else than independent or unknown.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from tests.rows.random_graphs import RandomGraph, random_graph
from tests.rows.support import OnnxTrial
from tests.rows.truth import Truth, truths
from trtasync.rows.check import check
from trtasync.rows.proof import prove
from trtasync.rows.verdicts import Finding, Verdict

__all__ = ["Judgement", "Report", "judge", "judge_many"]

CHECK_SECONDS = 0.3
TESTED_AT_MOST = 0.01
"""Share of coupled outputs that may pass for tested."""
UNRUNNABLE_AT_MOST = 0.02
"""Share of graphs that ONNX Runtime may refuse, or that give no finite numbers."""

Prove = Callable[[RandomGraph], "dict[str, int]"]
"""The outputs that are proved, with the axis of their rows."""
Check = Callable[[RandomGraph], Sequence[Finding]]


class Outcome(StrEnum):
    """Of one verdict on one output."""

    RIGHT = "right"
    FALSE_ALARM = "false alarm"
    WRONG_AXIS = "wrong axis"
    FOUND = "found"
    MISSED = "missed"
    WRONGLY_PROVED = "wrongly proved"
    UNKNOWN = "unknown"
    NOT_COUNTED = "not counted"


@dataclass(frozen=True)
class Judgement:
    """What was said of one output, and what it is.

    Attributes:
        seed: of its graph.
        output: its name.
        truth: what it is.
        axis: along which its rows lie.
        families: of the couplings in its graph; it need not depend on all of them.
        proved: the proof came to an end.
        finding: what the check said.
        outcome: of both together, as they are used: a check that finds a coupling wins.
    """

    seed: int
    output: str
    truth: Truth
    axis: int | None
    families: tuple[str, ...]
    proved: bool
    finding: Finding
    outcome: Outcome


def outcome(truth: Truth, axis: int | None, proved: int | None, finding: Finding) -> Outcome:
    """What the two verdicts on an output are worth.

    Args:
        truth: what it is.
        axis: along which its rows lie in truth.
        proved: along which they lie by the proof; None where there is none.
        finding: of the check.
    """
    alarm = finding.verdict in (Verdict.COUPLED, Verdict.RANDOM)
    tested = finding.verdict is Verdict.TESTED
    if truth in (Truth.COUPLED, Truth.HIDDEN, Truth.RANDOM) and proved is not None:
        return Outcome.WRONGLY_PROVED
    if truth in (Truth.COUPLED, Truth.RANDOM):
        return Outcome.FOUND if alarm else Outcome.MISSED if tested else Outcome.UNKNOWN
    if truth is not Truth.INDEPENDENT:
        return Outcome.NOT_COUNTED
    if alarm:
        return Outcome.FALSE_ALARM
    if proved is None and not tested:
        return Outcome.UNKNOWN
    right = proved in (None, axis) and (not tested or finding.axis == axis)
    return Outcome.RIGHT if right else Outcome.WRONG_AXIS


def judge(
    graph: RandomGraph, truth: dict[str, Truth], proved: dict[str, int], found: Sequence[Finding]
) -> list[Judgement]:
    """One judgement per output."""
    findings = {finding.output: finding for finding in found}
    families = tuple(sorted({step.family for step in graph.couplings}))
    judgements = []
    for value in graph.outputs:
        kind, finding, proof = truth[value.name], findings[value.name], proved.get(value.name)
        result = outcome(kind, value.batch, proof, finding)
        judgements.append(
            Judgement(
                graph.seed, value.name, kind, value.batch, families, proof is not None, finding,
                result,
            )
        )  # fmt: skip
    return judgements


@dataclass
class Report:
    """The judgements of many graphs.

    Attributes:
        judgements: one per output.
        proof_seconds: of each graph.
        check_seconds: of each graph.
        unrunnable: seeds of graphs that say nothing: refused, or without finite numbers.
    """

    judgements: list[Judgement] = field(default_factory=list)
    proof_seconds: list[float] = field(default_factory=list)
    check_seconds: list[float] = field(default_factory=list)
    unrunnable: list[int] = field(default_factory=list)

    def count(self, truth: Truth, *outcomes: Outcome) -> int:
        """Outputs of a kind that came out so; all of the kind without outcomes."""
        return len([one for one in self.of(*outcomes) if one.truth is truth])

    def of(self, *outcomes: Outcome) -> list[Judgement]:
        """Those that came out so; all without outcomes."""
        return [one for one in self.judgements if not outcomes or one.outcome in outcomes]

    def broken(self) -> list[str]:
        """The bounds that do not hold."""
        proved = self.of(Outcome.WRONGLY_PROVED)
        alarms = self.of(Outcome.FALSE_ALARM, Outcome.WRONG_AXIS)
        coupled = self.count(Truth.COUPLED)
        missed = self.count(Truth.COUPLED, Outcome.MISSED)
        graphs = len(self.check_seconds) + len(self.unrunnable)
        bounds = {
            f"{len(proved)} outputs are proved that are not independent": not proved,
            f"{len(alarms)} independent outputs raise an alarm": not alarms,
            f"{missed} of {coupled} coupled outputs are tested": missed <= TESTED_AT_MOST * coupled,
            f"{len(self.unrunnable)} of {graphs} graphs do not run": (
                len(self.unrunnable) <= UNRUNNABLE_AT_MOST * graphs
            ),
        }
        return [bound for bound, holds in bounds.items() if not holds]


def judge_many(seeds: Iterable[int], prove: Prove, check: Check) -> Report:
    """Makes the graphs, finds their truth, and asks both.

    Raises:
        WrongLabel: the generator errs.
    """
    report = Report()
    for seed in seeds:
        graph = random_graph(seed)
        truth = truths(graph)
        if truth is None:
            report.unrunnable.append(seed)
            continue
        started = time.perf_counter()
        proved = prove(graph)
        between = time.perf_counter()
        found = check(graph)
        ended = time.perf_counter()
        report.judgements += judge(graph, truth, proved, found)
        report.proof_seconds.append(between - started)
        report.check_seconds.append(ended - between)
    return report


def prove_graph(graph: RandomGraph) -> dict[str, int]:
    """By the static proof."""
    proofs = prove(graph.model, graph.axes)
    return {name: proof.axis for name, proof in proofs.items() if proof.axis is not None}


def check_graph(graph: RandomGraph) -> Sequence[Finding]:
    """By the check, as `open_engine` runs it."""
    trial = OnnxTrial(graph.model.SerializeToString())
    try:
        return check(trial, graph.axes, deadline=CHECK_SECONDS)
    finally:
        trial.close()


# ------------------------------------------------------------------------------------- the command


def table(report: Report) -> str:
    """For people, 80 columns wide."""
    lines = [f"{'outputs':<12} {'count':>6}  outcomes"]
    for truth in Truth:
        outcomes = Counter(one.outcome for one in report.judgements if one.truth is truth)
        proved = sum(one.proved for one in report.judgements if one.truth is truth)
        said = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
        lines.append(f"{truth:<12} {report.count(truth):>6}  {said} ({proved} proved)")
    lines += ["", f"{'coupled by':<14} {'found':>6} {'missed':>7} {'unknown':>8} {'proved':>7}"]
    coupled = [one for one in report.judgements if one.truth is Truth.COUPLED]
    columns = [Outcome.FOUND, Outcome.MISSED, Outcome.UNKNOWN, Outcome.WRONGLY_PROVED]
    for family in sorted({family for one in coupled for family in one.families}):
        counts = Counter(one.outcome for one in coupled if family in one.families)
        found, missed, unknown, proved = (counts[column] for column in columns)
        lines.append(f"{family:<14} {found:>6} {missed:>7} {unknown:>8} {proved:>7}")
    lines += ["", *map(_times, ("proof", "check"), (report.proof_seconds, report.check_seconds))]
    lines += [f"unrunnable: {len(report.unrunnable)} graphs"]
    bad = report.of(Outcome.WRONGLY_PROVED, Outcome.FALSE_ALARM, Outcome.WRONG_AXIS, Outcome.MISSED)
    lines += [f"{one.outcome}: graph {one.seed}, {one.truth} {one.output}" for one in bad]
    return "\n".join([*lines, *(f"BROKEN: {bound}" for bound in report.broken())])


def _times(name: str, seconds: Sequence[float]) -> str:
    if not seconds:
        return f"{name}: not run"
    median, high, most = (1e3 * np.quantile(seconds, share) for share in (0.5, 0.99, 1))
    return f"{name}: median {median:.1f} ms, p99 {high:.1f} ms, longest {most:.1f} ms"


def as_json(report: Report, first: int) -> dict[str, Any]:
    """Everything that was found, as plain data."""
    return {"first_seed": first, "broken": report.broken(), **asdict(report)}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--graphs", type=int, default=1000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, help="of the first graph; a fresh one by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    options = parser.parse_args(arguments)
    first = time.time_ns() // 1000 % 10**9 if options.seed is None else options.seed
    print(f"{options.graphs} graphs from seed {first}", flush=True)  # noqa: T201 - a command
    report = judge_many(range(first, first + options.graphs), prove_graph, check_graph)
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(report, first), indent=1))
    print(table(report))  # noqa: T201 - a command
    return 1 if report.broken() else 0


if __name__ == "__main__":
    sys.exit(main())
