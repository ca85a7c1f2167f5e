"""A loaded model judged: may requests share batches of it? In a thread, before lanes are opened."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trtasync.backends import Backend
from trtasync.backends.plan_files import MAGIC, is_plan
from trtasync.backends.trials import sizes_of
from trtasync.errors import BackendUnavailable
from trtasync.loading import EngineOptions, engine_name, load
from trtasync.rows import Judgement
from trtasync.rows.judge import Evidence, Prover, judge, report
from trtasync.rows.proof import Proof, prove
from trtasync.tensors import ModelSpec

LARGEST_GRAPH = 512 << 20
"""Bytes of an ONNX file up to which it is read a second time for a proof."""


def load_judged(options: EngineOptions, stop: threading.Event) -> tuple[Backend, Judgement]:
    """A model, loaded and settled on what its rows may do; see `loading.load`."""
    backend = load(options, stop)
    try:
        return backend, judge_rows(options, backend)
    except BaseException:
        backend.close()
        raise


def judge_rows(options: EngineOptions, backend: Backend) -> Judgement:
    """Settle the axes along which rows lie and whether they may meet; the backend goes by it.

    Raises:
        InvalidInput: `batch_axes` names what the model does not have, or batching is insisted on
            where nothing says along which axis.
    """
    spec = backend.spec
    if options.batch_axes:
        spec = ModelSpec.from_tensors(spec.inputs, spec.outputs, options.batch_axes)
    trial = backend.trial() if options.batching in ("auto", "proved") else None
    evidence = Evidence(
        trial=trial,
        prove=prover(options.model),
        said=bool(options.batch_axes),
        seconds=options.check_seconds,
        sizes=sizes_of(backend),
    )
    try:
        settled, judgement = judge(spec, options.batching, evidence)
    finally:
        if trial is not None:
            trial.close()
    backend.use(settled)
    report(engine_name(options, backend), judgement)
    return judgement


def prover(model: Any) -> Prover | None:
    """Reads the graph when it is asked; None where there is none to read."""
    if isinstance(model, bytes):
        is_graph, size = not model.startswith(MAGIC), len(model)
    elif isinstance(model, (str, Path)):
        is_graph, size = not is_plan(Path(model)), Path(model).stat().st_size
    else:
        return None
    if not is_graph or size > LARGEST_GRAPH:
        return None

    def proofs(axes: Mapping[str, int | None]) -> Mapping[str, Proof]:
        try:
            import onnx

            if isinstance(model, bytes):
                return prove(onnx.load_model_from_string(model), axes)
            return prove(onnx.load(model, load_external_data=False), axes)
        except (ImportError, BackendUnavailable):
            return {}

    return proofs
