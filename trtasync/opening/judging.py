"""A loaded model judged: may requests share batches of it? In a thread, before lanes are opened."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtasync.model.tensors import ModelSpec
from trtasync.opening.loading import EngineOptions, Loaded, engine_name, load
from trtasync.rows import Judgement
from trtasync.rows.graph import ModelGraph, read_graph
from trtasync.rows.judge import Evidence, conclude, judge, report
from trtasync.runtimes import Backend
from trtasync.runtimes.plan_files import is_plan, is_plan_data
from trtasync.runtimes.trials import sizes_of
from trtasync.system.ranges import ranged
from trtasync.system.stopping import Stop

if TYPE_CHECKING:
    from trtasync.plans.row_note import RowNote


def load_judged(options: EngineOptions, stop: Stop) -> tuple[Backend, Judgement]:
    """A model, loaded and settled on what its rows may do; see `loading.load`."""
    loaded = load(options, stop)
    try:
        return loaded.backend, judge_rows(options, loaded)
    except BaseException:
        loaded.backend.close()
        raise


@ranged("judge rows")
def judge_rows(options: EngineOptions, loaded: Loaded) -> Judgement:
    """Settle the axes along which rows lie and whether they may meet; the backend goes by it.

    Raises:
        InvalidInput: `batch_axes` names what the model does not have, or batching is insisted on
            where nothing says along which axis.
    """
    backend = loaded.backend
    spec = backend.spec
    if options.batch_axes:
        spec = ModelSpec.from_tensors(spec.inputs, spec.outputs, options.batch_axes)
        backend.use(spec)  # which batch sizes there are depends on it
    settled, judgement = _known(options, loaded.note, spec) or _examined(options, loaded, spec)
    backend.use(settled)
    report(engine_name(options, backend), judgement)
    return judgement


def _known(
    options: EngineOptions, note: "RowNote | None", spec: ModelSpec
) -> tuple[ModelSpec, Judgement] | None:
    """By what an earlier opening found of the same plan."""
    if note is None or isinstance(options.batching, bool):
        return None
    known = note.find(spec, bool(options.batch_axes), options.check_seconds)
    return None if known is None else conclude(spec, options.batching, *known)


def _examined(
    options: EngineOptions, loaded: Loaded, spec: ModelSpec
) -> tuple[ModelSpec, Judgement]:
    backend = loaded.backend
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
    if loaded.note is not None:
        loaded.note.keep(spec, evidence.said, evidence.seconds, settled, judgement)
    return settled, judgement


def graph_of(model: Any) -> ModelGraph | None:
    """What can be reasoned about of a model that was given to `open_engine`, if anything can."""
    if isinstance(model, bytes):
        return None if is_plan_data(model) else read_graph(model)
    if isinstance(model, (str, os.PathLike)):
        return None if is_plan(Path(model)) else read_graph(Path(model))
    return None
