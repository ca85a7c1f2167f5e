"""An ONNX file, read without a GPU and without running it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trtasync.errors import InvalidInput
from trtasync.inspection.tensors import TensorReport, as_said, reports
from trtasync.model.tensors import ModelSpec
from trtasync.plans.onnx_files import OnnxFile, read_onnx
from trtasync.plans.resolve import complete, inputs_of
from trtasync.rows import Batching
from trtasync.rows.graph import read_graph


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxReport:
    """The contents of an ONNX model.

    Attributes:
        file: its path.
        bytes: its size, without external files.
        external: file name -> bytes, of weights kept beside it.
        producer: the program that wrote it.
        ir_version: ONNX's IR version.
        opsets: domain -> version.
        nodes: nodes in the graph and its subgraphs.
        operators: operator -> nodes, the most frequent first.
        weight_bytes: bytes of all initializers.
        inputs: with their symbolic axes.
        outputs: with their symbolic axes.
        batched: requests can share a batch, judging by shapes and options; whether rows are
            independent is tested when the model is opened.
        proofs: output -> "" if the graph proves that its rows are independent, else what stopped
            the proof; empty if requests never, or always, share batches.
        fixed_batch: the one batch size it accepts, if it is fixed.
        profile: what `build_plan` would derive, in trtexec's form; "" if all shapes are fixed.
        profile_problem: why none can be derived, and what to specify.
    """

    file: str
    bytes: int
    external: Mapping[str, int]
    producer: str
    ir_version: int
    opsets: Mapping[str, int]
    nodes: int
    operators: Mapping[str, int]
    weight_bytes: int
    inputs: tuple[TensorReport, ...]
    outputs: tuple[TensorReport, ...]
    batched: bool
    proofs: Mapping[str, str]
    fixed_batch: int | None
    profile: str
    profile_problem: str


def inspect_onnx(
    path: str | os.PathLike[str],
    max_batch_size: int | None = None,
    *,
    batching: Batching = "auto",
    batch_axes: Mapping[str, int | None] | None = None,
) -> OnnxReport:
    """Read an ONNX model.

    Args:
        path: the file.
        max_batch_size: for the profile that would be derived; None for the default.
        batching: as for `open_engine`.
        batch_axes: as for `open_engine`.

    Raises:
        InvalidInput: `max_batch_size` is below 1, or the batch axes do not exist.
        PlanError: it cannot be read, or has inputs or outputs that are not tensors.
        BackendUnavailable: the `onnx` package is not installed.
    """
    if max_batch_size is not None and max_batch_size < 1:
        raise InvalidInput(f"max_batch_size must be 1 or more, not {max_batch_size}.")
    file = read_onnx(Path(path))
    spec = as_said(file.spec(), batching, batch_axes)
    proofs = _proofs(Path(path), spec) if spec.batched and batching is not True else {}
    unproved = any(proofs.values())
    operators = file.operators()
    profile, problem = _derived(spec, max_batch_size)
    return OnnxReport(
        file=str(path),
        bytes=file.content.size,
        external={each.name: each.stat().st_size for each in file.external},
        producer=_producer(file),
        ir_version=file.model.ir_version,
        opsets=file.opsets(),
        nodes=sum(operators.values()),
        operators=operators,
        weight_bytes=file.weight_bytes(),
        inputs=reports(spec.inputs),
        outputs=reports(spec.outputs),
        batched=spec.batched and not (batching == "proved" and unproved),
        proofs=proofs,
        fixed_batch=spec.fixed_batch,
        profile=profile,
        profile_problem=problem,
    )


def _proofs(path: Path, spec: ModelSpec) -> dict[str, str]:
    graph = read_graph(path)
    axes = {each.name: each.batch_axis for each in spec.inputs}
    found = {} if graph is None else graph.proofs(axes)
    return {
        name: "" if proof.axis is not None else proof.why or "unknown"
        for name, proof in found.items()
    }


def _producer(file: OnnxFile) -> str:
    return f"{file.model.producer_name} {file.model.producer_version}".strip()


def _derived(spec: ModelSpec, max_batch_size: int | None) -> tuple[str, str]:
    """The profile that a build would derive, and the problem if it cannot. Only TensorRT's parser
    knows whether an input is a shape tensor."""
    try:
        profiles = complete(inputs_of(spec), (), max_batch_size)
    except InvalidInput as error:
        return "", str(error)
    return ", ".join(map(str, profiles)), ""
