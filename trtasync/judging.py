"""A loaded model judged: may requests share batches of it? In a thread, before lanes are opened."""

import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

from trtasync.backends import Backend
from trtasync.backends.plan_files import MAGIC, is_plan
from trtasync.backends.trials import sizes_of
from trtasync.loading import EngineOptions, engine_name, load
from trtasync.rows import Judgement
from trtasync.rows.graph import Graph, read_graph
from trtasync.rows.judge import Evidence, judge, report
from trtasync.tensors import ModelSpec


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
        backend.use(spec)  # which batch sizes there are depends on it
    trial = backend.trial() if options.batching in ("auto", "proved") else None
    evidence = Evidence(
        trial=trial,
        graph=partial(graph_of, options.model),
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


def graph_of(model: Any) -> Graph | None:
    """What can be reasoned about of a model that was given to `open_engine`, if anything can."""
    if isinstance(model, bytes):
        return None if model.startswith(MAGIC) else read_graph(model)
    if isinstance(model, (str, os.PathLike)):
        return None if is_plan(Path(model)) else read_graph(Path(model))
    return None
