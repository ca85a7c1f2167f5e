"""What the nightly suites share: a command that judges, tells, and keeps the result when asked."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import write
from tests.judging.judgements import Judgements, Outcome, faults, summary, told
from tests.judging.oracles import silence

Groups = Mapping[str, Judgements]
"""Judgements by the way in which the models were asked."""


def command(
    name: str,
    description: str | None,
    judge: Callable[[str], tuple[Groups, Mapping[str, Any]]],
    *,
    all_samples: bool = False,
) -> int:
    """Parse the command line, judge, tell; the exit status is 0 when no model is at fault.

    Args:
        name: of the result, as in `benchmarks/results/NAME.json`.
        description: for `--help`.
        judge: from a word that names must hold to judgements, and what to say of the run.
        all_samples: keep right ones too, one by one.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", default="", metavar="WORD", help="models that hold it in names")
    parser.add_argument("--json", action="store_true", help="write benchmarks/results/NAME.json")
    parser.add_argument("--output", type=Path, metavar="PATH", help="write the result there")
    options = parser.parse_args()
    silence()
    groups, parameters = judge(options.only)
    print(*told(groups), sep="\n")
    if options.json or options.output:
        counts = {group: summary(judgements) for group, judgements in groups.items()}
        print(write(name, parameters, _samples(groups, all_samples), counts, options.output))
    return int(any(faults(judgements) for judgements in groups.values()))


def _samples(groups: Groups, everything: bool) -> list[dict[str, Any]]:
    return [
        {
            "group": group,
            "model": judgement.model,
            "outcome": judgement.outcome.value,
            "stage": judgement.stage,
            "shared": judgement.shared,
            "detail": judgement.detail,
        }
        for group, judgements in groups.items()
        for judgement in judgements
        if everything or judgement.outcome is not Outcome.RIGHT
    ]
