"""Models opened to be tried, not served: in ONNX Runtime, or as a plan on one GPU."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from trtasync.model.tensors import ModelSpec
from trtasync.rows import Trial
from trtasync.runtimes import Backend
from trtasync.runtimes.plan_files import PlanFile

ALL_CORES = 0
"""Threads: as many as the backend finds right."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What is tried.

    Attributes:
        trial: runs it.
        backend: its name.
        spec: what it says of its tensors.
        sizes: the batch sizes that it takes; None for any.
    """

    trial: Trial
    backend: str
    spec: ModelSpec
    sizes: Sequence[int] | None


def open_plan(plan: PlanFile, device: int, closing: ExitStack) -> Tried:
    """A plan, its lengths those that it was tuned for; `closing` closes it.

    Raises:
        TrtasyncError: as from `trtasync.runtimes.tensorrt.load`.
    """
    from trtasync.runtimes import tensorrt

    options = tensorrt.TensorRTOptions(devices=(device,), graphs=False, padding={})
    return tried(tensorrt.load(plan, options), closing)


def open_onnx(model: Path, closing: ExitStack) -> Tried:
    """A model in ONNX Runtime; `closing` closes it.

    Raises:
        TrtasyncError: as from `trtasync.runtimes.onnxruntime.load`.
    """
    from trtasync.runtimes.onnxruntime import load

    return tried(load(model, ALL_CORES), closing)


def tried(backend: Backend, closing: ExitStack) -> Tried:
    """A backend that can be tried, as all those can that have a name; `closing` closes it."""
    closing.callback(backend.close)
    trial = backend.trial()
    assert trial is not None
    closing.callback(trial.close)
    return Tried(trial, backend.name, backend.spec, sizes_of(backend))


def sizes_of(backend: Backend) -> Sequence[int] | None:
    """The batch sizes that a model takes; None for any."""
    if backend.spec.fixed_batch is not None:
        return (backend.spec.fixed_batch,)
    return backend.possible_batch_sizes
