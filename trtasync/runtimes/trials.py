"""Models opened for a check, not for serving: in ONNX Runtime, or as a plan on one GPU."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from trtasync.model.tensors import ModelSpec
from trtasync.rows import Trial
from trtasync.runtimes import Backend
from trtasync.runtimes.plan_files import PlanFile

ALL_CORES = 0
"""Number of threads: the backend's default."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A model to be checked.

    Attributes:
        trial: runs the model.
        backend: the name of the backend.
        spec: the spec of the model.
        sizes: the batch sizes that it accepts; None for any.
    """

    trial: Trial
    backend: str
    spec: ModelSpec
    sizes: Sequence[int] | None


def open_plan(plan: PlanFile, device: int, closing: ExitStack) -> Tried:
    """Open a plan at the lengths that it was optimized for; `closing` closes it.

    Raises:
        TrtasyncError: as from `trtasync.runtimes.tensorrt.load`.
    """
    from trtasync.runtimes import tensorrt

    options = tensorrt.TensorRTOptions(devices=(device,), graphs=False, padding={})
    return tried(tensorrt.load(plan, options), closing)


def open_onnx(model: Path, closing: ExitStack) -> Tried:
    """Open a model in ONNX Runtime; `closing` closes it.

    Raises:
        TrtasyncError: as from `trtasync.runtimes.onnxruntime.load`.
    """
    from trtasync.runtimes.onnxruntime import load

    return tried(load(model, ALL_CORES), closing)


def tried(backend: Backend, closing: ExitStack) -> Tried:
    """Open a backend that has a trial, as all named ones do; `closing` closes it."""
    closing.callback(backend.close)
    trial = backend.trial()
    assert trial is not None
    closing.callback(trial.close)
    return Tried(trial, backend.name, backend.spec, sizes_of(backend))


def sizes_of(backend: Backend) -> Sequence[int] | None:
    """The batch sizes that a model accepts; None for any."""
    if backend.spec.fixed_batch is not None:
        return (backend.spec.fixed_batch,)
    return backend.possible_batch_sizes
