"""May requests share batches? What the file suggests, the graph proves, the model itself shows."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trtasync.errors import InvalidInput
from trtasync.model.tensors import ModelSpec
from trtasync.rows.axes import find_axes
from trtasync.rows.check import check
from trtasync.rows.graph import ModelGraph
from trtasync.rows.proof import Proof
from trtasync.rows.shared import deciding, vary
from trtasync.rows.verdicts import Array, Batching, Finding, Judgement, Trial, Verdict

log: logging.Logger = logging.getLogger("trtasync")

TensorAxes = Mapping[str, int | None]
MANY = 3
"""Outputs that a warning names."""

ALGORITHM = 1
"""Of the proof and the check: another number forgets all findings that were kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a model can be judged by.

    Attributes:
        trial: runs it; None where its spec is to be taken at its word.
        graph: reads its graph, if there is one to read.
        said: the user named batch axes, so no others are looked for.
        seconds: that runs may take altogether.
        sizes: the batch sizes that it takes; None for any.
        samples: natural values, an array per input; drawn by type and name otherwise.
    """

    trial: Trial | None
    graph: Callable[[], ModelGraph | None] = lambda: None
    said: bool = False
    seconds: float = 0.0
    sizes: Sequence[int] | None = None
    samples: Sequence[Array] | None = None


def judge(spec: ModelSpec, wanted: Batching, evidence: Evidence) -> tuple[ModelSpec, Judgement]:
    """Settle along which axes rows lie, and whether requests may share a batch.

    Args:
        spec: what the file suggests, and the user says.
        wanted: by the user.
        evidence: what it can be judged by.

    Returns:
        the spec to go by, and why.

    Raises:
        InvalidInput: batching is insisted on, and nothing says along which axis.
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
    """What an examination amounts to, one of now or of an earlier opening.

    Args:
        spec: see `judge`.
        wanted: see `judge`.
        axes: the batch axis of every input.
        findings: one per output.
        why: there are none, to end a clause with.
        seconds: that it took.
    """
    settled = _with_axes(spec, axes, findings)
    enough = {Verdict.PROVED} if wanted == "proved" else {Verdict.PROVED, Verdict.TESTED}
    poor = [finding for finding in findings if finding.verdict not in enough]
    batched = bool(findings) and not poor
    reason = _praise(findings) if batched else _blame(poor, why)
    return replace(settled, batched=batched), Judgement(batched, reason, findings, seconds)


def report(model: str, judgement: Judgement) -> None:
    """One log line: a warning where a model that seemed to have rows runs alone after all."""
    if judgement.batched or not judgement.findings:
        log.info("%s: %s", model, judgement)
        return
    log.warning(
        "%s: every request runs alone: %s. batching=True batches all the same, batching=False says "
        "that this is meant, batch_axes={...} names other axes.",
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
    """(the batch axis of every input, what is known of every output, why that is nothing).

    Other axes are looked for only where the file suggests none: what a request of one row means
    must not hang on what the rows of a model do to each other.
    """
    end = time.monotonic() + evidence.seconds
    if spec.has_rows or evidence.said:
        axes: TensorAxes = {each.name: each.batch_axis for each in (*spec.inputs, *spec.outputs)}
        graph, proofs = _reasoned(spec, axes, evidence)
        half = _all_proved(proofs) or bool(deciding(trial.inputs, axes))
        tested = _test(trial, axes, evidence, _left(end, evidence.seconds / (1 + half)))
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


def _test(
    trial: Trial, axes: TensorAxes, evidence: Evidence, seconds: float
) -> tuple[Finding, ...]:
    """Where all is proved, half of the time is enough: a rule may be wrong, and the first exchanges
    show most of what there is to see. Where more has to be tried, the other half is for that."""
    return check(trial, axes, deadline=seconds, sizes=evidence.sizes, samples=evidence.samples)


def _left(end: float, most: float) -> float:
    return max(0.0, min(most, end - time.monotonic()))


def _all_proved(proofs: Mapping[str, Proof]) -> bool:
    return bool(proofs) and all(proof.axis is not None for proof in proofs.values())


def _reasoned(
    spec: ModelSpec, axes: TensorAxes, evidence: Evidence
) -> tuple[ModelGraph | None, Mapping[str, Proof]]:
    """(the graph, what it proves of every output)."""
    graph = evidence.graph()
    if graph is None:
        return None, {}
    return graph, graph.proofs({tensor.name: axes.get(tensor.name) for tensor in spec.inputs})


def _search(
    spec: ModelSpec, trial: Trial, evidence: Evidence
) -> tuple[TensorAxes, tuple[Finding, ...], str]:
    """Axes that the file does not name, if rows may lie first in some input; see `_examine`."""
    heads = [tensor for tensor in spec.inputs if tensor.shape and not tensor.host]
    first = [tensor.name for tensor in heads if not isinstance(tensor.shape[0], int)]
    if not first:
        return {}, (), ""
    decided = any(each.dtype.kind in "biu" for each in spec.inputs)  # by what is varied later
    seconds = evidence.seconds / (1 + decided)
    found = find_axes(trial, {}, deadline=seconds, sizes=evidence.sizes, samples=evidence.samples)
    axes = found.axes or {}
    if not any(axes.get(name) == 0 for name in first):
        return {}, (), found.why
    return axes, found.findings, ""


def _joined(tested: Finding, proof: Proof | None, graph: ModelGraph) -> Finding:
    """A coupling that was seen beats a proof, a proof beats a test that saw nothing.

    Without a proof, operators that draw, or by which rows are known to meet, count more than a test
    that saw nothing: a number that is rarely drawn, rows of about one size or a limit that a few
    rows do not reach show nothing.
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
    """The spec with what was found. Of an output of which nothing was, what the file suggests goes:
    how an answer looks must not hang on how far the check came."""
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
