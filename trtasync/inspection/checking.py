"""A thorough check of a model: its rows, its numbers, and its plan against ONNX Runtime."""

import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from trtasync.errors import InvalidInput
from trtasync.inspection.check_report import CheckReport, OutputCheck
from trtasync.inspection.subjects import Target, choose, open_target
from trtasync.model.arrays import Array
from trtasync.model.tensors import ModelSpec
from trtasync.opening.backends import BackendName
from trtasync.opening.judging import graph_of
from trtasync.rows import Batching, Finding, Verdict
from trtasync.rows.accuracy import look_at
from trtasync.rows.judge import Evidence, judge
from trtasync.rows.ordinary import in_order, ordinary_runs
from trtasync.runtimes.trials import open_onnx

if TYPE_CHECKING:
    from trtasync.plans.cache import CacheChoice
    from trtasync.plans.plan import Profiles
    from trtasync.plans.row_note import RowNote


def check_model(
    model: str | os.PathLike[str],
    *,
    plan: str | os.PathLike[str] | None = None,
    backend: BackendName = "auto",
    device: int = 0,
    batching: Batching = "auto",
    batch_axes: Mapping[str, int | None] | None = None,
    samples: Mapping[str, Array] | None = None,
    seconds: float = 10.0,
    tolerance: float = 1e-2,
    profiles: "Profiles | None" = None,
    max_batch_size: int | None = None,
    cache: "CacheChoice" = True,
    engine_host_code_allowed: bool = False,
) -> CheckReport:
    """Check whether a model's rows are independent, its numbers finite, and its plan correct.

    This is the thorough form of the brief check that `open_engine` makes. It blocks; in a
    coroutine call it with `anyio.to_thread.run_sync`.

    Args:
        model: path of an `.onnx` file or of a plan.
        plan: a plan that was built from the model: the plan is checked then, and its numbers
            compared with ONNX Runtime.
        backend: for an `.onnx` file without a plan. On "tensorrt", and on "auto" where a plan can
            be built, one is built, or taken from the cache, and checked as if it had been given.
        device: index of the GPU.
        batching: as for `open_engine`; it determines the verdicts that pass. With False rows are
            not examined, and with True no finding on them is a problem.
        batch_axes: as for `open_engine`.
        samples: an array for every input, rows along its batch axis; drawn at random by default.
        seconds: time limit for testing rows.
        tolerance: the largest difference from ONNX Runtime; see `Agreement.relative`.
        profiles: for a plan that is built; see `build_plan`.
        max_batch_size: see `build_plan`.
        cache: see `build_plan`; the plan has to be kept somewhere.
        engine_host_code_allowed: run the code inside a version-compatible plan.

    Raises:
        InvalidInput: an argument is invalid, or the plan was not built from this model.
        BackendUnavailable: a package, driver or device is missing.
        PlanError: the model or plan cannot be read or built.
        InferenceError: the model does not run.
    """
    _demand_positive(seconds=seconds, tolerance=tolerance)
    begin = time.monotonic()
    target = choose(
        Path(model),
        plan,
        backend,
        device,
        profiles,
        max_batch_size,
        batch_axes,
        cache,
        engine_host_code_allowed,
    )
    with ExitStack() as closing:
        subject = open_target(target, device, closing)
        reference = None
        if target.plan and target.model is not None:
            reference = open_onnx(target.model, closing).trial
        spec = subject.spec
        if batch_axes:
            spec = ModelSpec.from_tensors(spec.inputs, spec.outputs, batch_axes)
        axes = {each.name: each.batch_axis for each in spec.inputs}
        trial, sizes = subject.trial, subject.sizes
        runs = ordinary_runs(trial, axes, sizes=sizes, samples=samples)
        numbers = look_at(trial, runs, reference)
        findings: Mapping[str, Finding] = {}
        if batching is not False:
            evidence = Evidence(
                trial=trial,
                graph=partial(graph_of, target.model),
                said=bool(batch_axes),
                seconds=seconds,
                sizes=sizes,
                samples=None if samples is None else in_order(trial, samples),
            )
            spec, findings = _rows(spec, evidence, target.note)
    return CheckReport(
        model=str(model),
        plan="" if target.plan is None else str(target.plan.path),
        backend=subject.backend,
        batching=batching,
        tolerance=tolerance,
        axes={each.name: each.batch_axis for each in spec.inputs},
        proof=_no_proof(target, batching),
        seconds=time.monotonic() - begin,
        outputs=tuple(
            OutputCheck(findings.get(each.health.output), each.health, each.agreement)
            for each in numbers
        ),
    )


def _no_proof(target: Target, batching: Batching) -> str:
    if batching is False:
        return ""
    if target.model is None:
        return "a plan has no graph to read; give the .onnx model, and the plan as such"
    return "" if find_spec("onnx") else "it needs the onnx package: pip install 'trtasync[build]'"


def _demand_positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise InvalidInput(f"{name} must be a number above 0, not {value!r}.")


def _rows(
    spec: ModelSpec, evidence: Evidence, note: "RowNote | None"
) -> tuple[ModelSpec, Mapping[str, Finding]]:
    """The batch axes and the finding on every output, which later openings of the plan use."""
    settled, judgement = judge(spec, "auto", evidence)
    if note is not None:
        note.keep(spec, evidence.said, evidence.seconds, settled, judgement)
    found = {finding.output: finding for finding in judgement.findings}
    verdict = Verdict.PROVED if judgement.batched else Verdict.UNKNOWN
    return settled, {
        output.name: found.get(
            output.name, Finding(output.name, verdict, output.batch_axis, judgement.reason)
        )
        for output in settled.outputs
    }
