"""A model checked at length: its rows, its numbers, and a plan of it against ONNX Runtime."""

import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trtasync.backends import Backend
from trtasync.backends.plan_files import is_plan
from trtasync.cores import cores
from trtasync.errors import InvalidInput, PlanError
from trtasync.inspection.check_report import CheckReport, OutputCheck
from trtasync.judging import prover, sizes_of
from trtasync.loading import backend_for
from trtasync.profiles import Profile, read_profiles
from trtasync.rows import Batching, Finding, Trial, Verdict
from trtasync.rows.accuracy import look_at
from trtasync.rows.judge import Evidence, judge
from trtasync.rows.ordinary import in_order, ordinary_runs
from trtasync.rows.verdicts import Array
from trtasync.tensors import ModelSpec

BackendName = Literal["auto", "tensorrt", "onnxruntime"]


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
    profiles: Profile | str | Sequence[Profile | str] | None = None,
    max_batch_size: int | None = None,
    engine_host_code_allowed: bool = False,
) -> CheckReport:
    """Do the rows of a model influence each other, are its numbers numbers, and is a plan right?

    What `open_engine` looks at for a moment this examines at length. It blocks; in a coroutine
    call it with `anyio.to_thread.run_sync`.

    Args:
        model: path of an `.onnx` file or of a plan.
        plan: one that was built from the model: it is what is checked then, its numbers against
            ONNX Runtime.
        backend: of an `.onnx` file without a plan. On "tensorrt", and on "auto" where a plan can
            be built, one is built, or taken from the cache, and checked as if it had been given.
        device: index of the GPU.
        batching: as for `open_engine`; it says which verdicts are well. With False rows are not
            looked at, and with True whatever is found of them is no problem.
        batch_axes: as for `open_engine`.
        samples: an array for every input, rows along its batch axis; drawn at random by default.
        seconds: that rows may be tested for.
        tolerance: by how much a plan may differ from ONNX Runtime; see `Agreement.relative`.
        profiles: of a plan that is built; see `build_plan`.
        max_batch_size: likewise.
        engine_host_code_allowed: run the code that a version-compatible plan carries.

    Raises:
        InvalidInput: an argument makes no sense, or the plan is none of this model.
        BackendUnavailable: a package, driver or device is missing.
        PlanError: the model or plan cannot be read or built.
        InferenceError: the model does not run.
    """
    _demand_positive(seconds=seconds, tolerance=tolerance)
    begin = time.monotonic()
    target = _target(Path(model), plan, backend, device, profiles, max_batch_size)
    with ExitStack() as closing:
        subject = _open(target, device, engine_host_code_allowed, closing)
        reference = None
        if target.plan and target.model is not None:
            reference = _onnx_trial(target.model, closing).trial
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
                prove=None if target.model is None else prover(target.model),
                said=bool(batch_axes),
                seconds=seconds,
                sizes=sizes,
                samples=None if samples is None else in_order(trial, samples),
            )
            spec, findings = _rows(spec, evidence)
    return CheckReport(
        model=str(model),
        plan="" if target.plan is None else str(target.plan),
        backend=subject.backend,
        batching=batching,
        tolerance=tolerance,
        axes={each.name: each.batch_axis for each in spec.inputs},
        seconds=time.monotonic() - begin,
        outputs=tuple(
            OutputCheck(findings.get(each.health.output), each.health, each.agreement)
            for each in numbers
        ),
    )


def _demand_positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise InvalidInput(f"{name} must be a number above 0, not {value!r}.")


@dataclass(frozen=True, slots=True)
class _Target:
    """What is checked.

    Attributes:
        model: the `.onnx` file, if there is one.
        plan: the plan, if there is one; it is checked then.
        own: we have built it, so the code it may carry is to be trusted.
    """

    model: Path | None
    plan: Path | None
    own: bool = False


def _target(
    model: Path,
    plan: str | os.PathLike[str] | None,
    backend: str,
    device: int,
    profiles: Profile | str | Sequence[Profile | str] | None,
    max_batch_size: int | None,
) -> _Target:
    if not model.is_file():
        raise PlanError(f"{model} is no file; give the path of an .onnx model or of a plan.")
    if is_plan(model):
        if plan is not None:
            raise InvalidInput(
                f"{model} is a plan; give the .onnx model that {plan} is built from."
            )
        return _Target(None, model)
    if plan is not None:
        return _Target(model, Path(plan))
    if backend_for(model, backend) == "onnxruntime":
        return _Target(model, None)
    from trtasync.build.job import Job
    from trtasync.build.plan import make_order

    order = make_order(
        model, profiles=read_profiles(profiles), max_batch_size=max_batch_size, device=device
    )
    built = Job(order, threading.Event()).run()
    return _Target(model, built.path, built.own)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What runs.

    Attributes:
        trial: the model, or the plan of it.
        backend: its name.
        spec: what it says of its tensors.
        sizes: the batch sizes that it takes; None for any.
    """

    trial: Trial
    backend: str
    spec: ModelSpec
    sizes: Sequence[int] | None


def _open(target: _Target, device: int, code_allowed: bool, closing: ExitStack) -> _Subject:
    if target.plan is None:
        assert target.model is not None
        return _onnx_trial(target.model, closing)
    from trtasync.backends import tensorrt
    from trtasync.backends.lane_trial import LaneTrial

    backend = tensorrt.load(
        target.plan,
        tensorrt.TensorRTOptions(
            devices=(device,),
            graphs=False,
            padding={},
            engine_host_code_allowed=code_allowed or target.own,
        ),
    )
    spec, sizes = backend.tuned, sizes_of(backend)
    trial = LaneTrial(backend, spec)
    closing.callback(trial.close)
    return _Subject(trial, backend.name, spec, sizes)


def _onnx_trial(model: Path, closing: ExitStack) -> _Subject:
    from trtasync.backends.onnxruntime import load

    backend: Backend = load(model, cores())
    closing.callback(backend.close)
    trial = backend.trial()
    assert trial is not None
    closing.callback(trial.close)
    return _Subject(trial, backend.name, backend.spec, sizes_of(backend))


def _rows(spec: ModelSpec, evidence: Evidence) -> tuple[ModelSpec, Mapping[str, Finding]]:
    """Where rows lie, and what was found of every output."""
    settled, judgement = judge(spec, "auto", evidence)
    found = {finding.output: finding for finding in judgement.findings}
    verdict = Verdict.PROVED if judgement.batched else Verdict.UNKNOWN
    return settled, {
        output.name: found.get(
            output.name, Finding(output.name, verdict, output.batch_axis, judgement.reason)
        )
        for output in settled.outputs
    }
