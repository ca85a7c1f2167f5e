"""Decides whether requests share batches, from the file, a proof from its graph, and test runs."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trtasync.errors import InvalidInput
from trtasync.model.arrays import Array
from trtasync.model.tensors import ModelSpec
from trtasync.rows.axes import find_axes
from trtasync.rows.check import check
from trtasync.rows.graph import ModelGraph
from trtasync.rows.proof import Proof
from trtasync.rows.shared import deciding, vary
from trtasync.rows.verdicts import Batching, Finding, Judgement, Trial, Verdict

log: logging.Logger = logging.getLogger("trtasync")

TensorAxes = Mapping[str, int | None]
MANY = 3
"""Most outputs that a warning names."""

ALGORITHM = 1
"""Version of the proof and the check: a change invalidates all stored findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The evidence on which a model is judged.

    Attributes:
        trial: runs the model; None if its spec is trusted.
        graph: reads its graph, if there is one.
        said: the user named batch axes, so no others are searched.
        seconds: time limit for all runs.
        sizes: the batch sizes that the model accepts; None for any.
        samples: natural values, an array per input; otherwise drawn by type and name.
    """

    trial: Trial | None
    graph: Callable[[], ModelGraph | None] = lambda: None
    said: bool = False
    seconds: float = 0.0
    sizes: Sequence[int] | None = None
    samples: Sequence[Array] | None = None


def judge(spec: ModelSpec, wanted: Batching, evidence: Evidence) -> tuple[ModelSpec, Judgement]:
    """Determine the batch axes, and whether requests may share a batch.

    Args:
        spec: the spec according to the file and the user.
        wanted: the user's choice.
        evidence: the evidence.

    Returns:
        the spec to use, and the judgement.

    Raises:
        InvalidInput: batching is required, but the batch axis is unknown.
    """
    if wanted is False:
        return _alone(spec, "batching=False")
    if wanted is True:
        return _insisted(spec)
    if evidence.trial is None:
        return _at_its_word(spec, wanted)
    if spec.fixed_batch == 1 and spec.batched:
        return spec, Judgement(True, "the model takes one row at a time, so none meet")
    begin = time.monotonic()
    examined = _examine(spec, evidence.trial, evidence)
    return conclude(spec, wanted, *examined, seconds=time.monotonic() - begin)


def conclude(
    spec: ModelSpec,
    wanted: Literal["auto", "proved"],
    axes: TensorAxes,
    findings: tuple[Finding, ...],
    why: str = "",
    *,
    seconds: float = 0.0,
) -> tuple[ModelSpec, Judgement]:
    """Judge an examination, made now or at an earlier opening.

    Args:
        spec: see `judge`.
        wanted: see `judge`.
        axes: the batch axis of every input.
        findings: one per output.
        why: the reason if there are none, as the end of a clause.
        seconds: the duration of the examination.
    """
    settled = _with_axes(spec, axes, findings)
    enough = {Verdict.PROVED} if wanted == "proved" else {Verdict.PROVED, Verdict.TESTED}
    poor = [finding for finding in findings if finding.verdict not in enough]
    batched = bool(findings) and not poor
    reason = _praise(findings) if batched else _blame(poor, why)
    return replace(settled, batched=batched), Judgement(batched, reason, findings, seconds)


def report(model: str, judgement: Judgement) -> None:
    """Log one line: a warning if a model that seemed to have rows runs alone after all."""
    if judgement.batched or not judgement.findings:
        log.info("%s: %s", model, judgement)
        return
    log.warning(
        "%s: every request runs alone: %s. Use batching=True to batch anyway, batching=False if "
        "this is intended, or batch_axes={...} to name other axes.",
        model,
        judgement.reason,
    )


def _alone(spec: ModelSpec, reason: str) -> tuple[ModelSpec, Judgement]:
    return replace(spec, batched=False), Judgement(False, reason)


def _insisted(spec: ModelSpec) -> tuple[ModelSpec, Judgement]:
    if not spec.has_rows:
        raise InvalidInput(
            f"batching=True, but inputs {', '.join(map(str, spec.inputs))} have no common batch "
            "axis; say which axis it is: batch_axes={name: axis, ...}."
        )
    outputs = tuple(
        output if output.batch_axis is not None else replace(output, batch_axis=0)
        for output in spec.outputs
    )
    return replace(spec, outputs=outputs, batched=True), Judgement(True, "batching=True")


def _at_its_word(spec: ModelSpec, wanted: Batching) -> tuple[ModelSpec, Judgement]:
    if wanted == "proved":
        return _alone(spec, "there is no graph to prove anything by")
    return spec, Judgement(spec.batched, "as the model says of itself")


def _examine(
    spec: ModelSpec, trial: Trial, evidence: Evidence
) -> tuple[TensorAxes, tuple[Finding, ...], str]:
    """Return the batch axis of every input, a finding on every output, and why there is none.

    Other axes are tried only if the file suggests none: the meaning of a request of one row must
    not depend on whether the rows of a model influence each other.
    """
    end = time.monotonic() + evidence.seconds
    if spec.has_rows or evidence.said:
        axes: TensorAxes = {each.name: each.batch_axis for each in (*spec.inputs, *spec.outputs)}
        graph, proofs = _reasoned(spec, axes, evidence)
        # Half of the time is enough to guard a proof against a wrong rule, because the first
        # exchanges reveal most; if shared inputs are varied too, the other half is for them.
        half = _all_proved(proofs) or bool(deciding(trial.inputs, axes))
        seconds = _left(end, evidence.seconds / (1 + half))
        tested = check(
            trial, axes, deadline=seconds, sizes=evidence.sizes, samples=evidence.samples
        )
    else:
        axes, tested, why = _search(spec, trial, evidence)
        if not tested:
            return axes, tested, why
        graph, proofs = _reasoned(spec, axes, evidence)
    if not _all_proved(proofs) and any(each.verdict is Verdict.TESTED for each in tested):
        tested = vary(
            trial,
            axes,
            tested,
            deadline=_left(end, evidence.seconds),
            sizes=evidence.sizes,
            samples=evidence.samples,
        )
    if graph is not None:
        tested = tuple(_joined(each, proofs.get(each.output), graph) for each in tested)
    return axes, tested, ""


def _left(end: float, most: float) -> float:
    return max(0.0, min(most, end - time.monotonic()))


def _all_proved(proofs: Mapping[str, Proof]) -> bool:
    return bool(proofs) and all(proof.axis is not None for proof in proofs.values())


def _reasoned(
    spec: ModelSpec, axes: TensorAxes, evidence: Evidence
) -> tuple[ModelGraph | None, Mapping[str, Proof]]:
    """Return the graph, and what it proves about every output."""
    graph = evidence.graph()
    if graph is None:
        return None, {}
    return graph, graph.proofs({tensor.name: axes.get(tensor.name) for tensor in spec.inputs})


def _search(
    spec: ModelSpec, trial: Trial, evidence: Evidence
) -> tuple[TensorAxes, tuple[Finding, ...], str]:
    """Find axes that the file does not name, if rows may be first in some input; see `_examine`."""
    heads = [tensor for tensor in spec.inputs if tensor.shape and not tensor.host]
    first = [tensor.name for tensor in heads if not isinstance(tensor.shape[0], int)]
    if not first:
        return {}, (), ""
    decided = any(each.dtype.kind in "biu" for each in spec.inputs)  # as `vary` does later
    seconds = evidence.seconds / (1 + decided)
    found = find_axes(trial, {}, deadline=seconds, sizes=evidence.sizes, samples=evidence.samples)
    axes = found.axes or {}
    if not any(axes.get(name) == 0 for name in first):
        return {}, (), found.why
    return axes, found.findings, ""


def _joined(tested: Finding, proof: Proof | None, graph: ModelGraph) -> Finding:
    """An observed coupling overrules a proof, and a proof overrules a test that saw nothing.

    Without a proof, operators that draw random numbers, or that are known to couple rows, overrule
    a test that saw nothing: it misses a number that is rarely drawn, rows of similar magnitude, or
    a limit that a few rows do not reach.
    """
    seen = tested.verdict in (Verdict.COUPLED, Verdict.RANDOM)
    if proof is not None and proof.axis is not None:
        proved = replace(tested, verdict=Verdict.PROVED, axis=proof.axis, why="")
        return tested if seen else proved
    if not seen and graph.random:
        why = f"{graph.random[0]} draws random numbers"
        return replace(tested, verdict=Verdict.RANDOM, why=why)
    if not seen and graph.quantizing:
        why = f"{graph.quantizing[0]} scales all rows of a batch by one number taken from it"
        return replace(tested, verdict=Verdict.COUPLED, why=why)
    stopped = "" if proof is None else proof.why
    if proof is not None and proof.mixes and tested.verdict is Verdict.TESTED:
        return replace(tested, verdict=Verdict.UNKNOWN, why=f"no test showed it, but {stopped}")
    return replace(tested, why="; ".join(filter(None, (tested.why, stopped))))


def _with_axes(spec: ModelSpec, axes: TensorAxes, findings: Sequence[Finding]) -> ModelSpec:
    """Add the findings to the spec. An output without one keeps the axis suggested by the file: the
    form of an answer must not depend on how far the check got."""
    found = {finding.output: finding.axis for finding in findings}
    return replace(
        spec,
        inputs=tuple(
            replace(tensor, batch_axis=None if tensor.host else axes.get(tensor.name))
            for tensor in spec.inputs
        ),
        outputs=tuple(
            replace(tensor, batch_axis=_first_known(found.get(tensor.name), tensor.batch_axis))
            for tensor in spec.outputs
        ),
        batched=False,
    )


def _first_known(found: int | None, guessed: int | None) -> int | None:
    return guessed if found is None else found


def _praise(findings: Sequence[Finding]) -> str:
    if all(finding.verdict is Verdict.PROVED for finding in findings):
        return "rows are proved not to influence each other"
    return "rows did not influence each other in any test; there is no proof"


def _blame(findings: Sequence[Finding], why: str) -> str:
    if not findings:
        return "the tensors have no common batch axis" + (f": {why}" if why else "")
    named = [
        f"output '{each.output}' is {each.verdict}{f' ({each.why})' if each.why else ''}"
        for each in findings[:MANY]
    ]
    more = len(findings) - MANY
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
