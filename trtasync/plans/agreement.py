"""Compares a plan with ONNX Runtime before it is kept: TensorRT miscompiles some graphs."""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from trtasync.errors import BuildError, InvalidInput
from trtasync.model.arrays import Array
from trtasync.model.tensors import ModelSpec
from trtasync.rows.accuracy import Agreement, look_at
from trtasync.rows.ordinary import ordinary_runs
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.trials import open_onnx, open_plan


@dataclass(frozen=True, slots=True)
class AccuracyCheck:
    """The check that a plan has to pass.

    Attributes:
        tolerance: the largest allowed difference of an output; see `Agreement.relative`.
        samples: an array for every input, rows along its batch axis; None to draw them.
    """

    tolerance: float
    samples: Mapping[str, Array] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < math.inf:
            raise InvalidInput(f"check must be a number above 0, not {self.tolerance!r}.")

    def demand(
        self, model: Path, plan: PlanFile, device: int, batch_axes: Mapping[str, int | None]
    ) -> None:
        """Run both and demand that they agree.

        Args:
            model: the `.onnx` file.
            plan: the plan that we built from it.
            device: index of the GPU.
            batch_axes: the batch axes that the user gave.

        Raises:
            BuildError: an output differs.
            InvalidInput: the samples do not fit.
            BackendUnavailable: onnxruntime is not installed.
            InferenceError: one of the two fails to run.
        """
        with ExitStack() as closing:
            subject = open_plan(plan, device, closing)
            reference = open_onnx(model, closing).trial
            spec = subject.spec
            if batch_axes:
                spec = ModelSpec.from_tensors(spec.inputs, spec.outputs, batch_axes)
            axes = {each.name: each.batch_axis for each in spec.inputs}
            runs = ordinary_runs(subject.trial, axes, sizes=subject.sizes, samples=self.samples)
            for numbers in look_at(subject.trial, runs, reference):
                if numbers.agreement is not None:
                    self._demand(model, numbers.agreement)

    def _demand(self, model: Path, agreement: Agreement) -> None:
        if not agreement.relative <= self.tolerance:
            raise BuildError(
                f"{model}: the plan is wrong and not kept: {agreement.complaint(self.tolerance)}. "
                "Build it with another version of TensorRT or with higher precision, or allow a "
                "larger difference (check)."
            )
