"""A backend that has no trial of its own, tried through one of its lanes."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from trtasync.backends import Backend
from trtasync.errors import InferenceError
from trtasync.requests import Array, Layout
from trtasync.tensors import ModelSpec


class LaneTrial:
    """A `trtasync.rows.Trial`: every run is a request that runs alone, on whole arrays.

    The backend is used up by it: lanes are opened once. All calls but `stop` come from one thread.
    """

    def __init__(self, backend: Backend, spec: ModelSpec):
        """Args:
            backend: opened for nothing else, on one device; closed with the trial.
            spec: what `inputs` and `outputs` shall say of the tensors; the backend's or like it.

        Raises:
            whatever `Backend.open` raises; the backend is closed then.
        """
        self.inputs = spec.inputs
        self.outputs = spec.outputs
        self._backend = backend
        self._stopped = False
        with ExitStack() as closing:
            closing.callback(backend.close)
            backend.use(replace(backend.spec, batched=False))
            (opened,) = backend.open(1, 1, ())
            closing.callback(opened.lane.close)
            self._lane, self._slot = opened.lane, opened.slots[0]
            self._closing = closing.pop_all()

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """One run.

        Raises:
            InvalidInput: the model does not take these shapes.
            InferenceError: it failed, or the trial was stopped.
        """
        if self._stopped:
            raise InferenceError("the trial was stopped.")
        pairs = list(zip(self.inputs, arrays, strict=True))
        rows = [array for spec, array in pairs if not spec.host]
        layout = Layout(
            tuple(array.shape for array in rows),
            (None,) * len(rows),
            tuple(tuple(array.ravel().tolist()) for spec, array in pairs if spec.host),
        )
        self._backend.admit(layout)
        views = self._slot.bind(layout)
        for view, array in zip(views.inputs, rows, strict=True):
            view[0, ...] = array
        self._lane.launch(self._slot, 1)
        self._lane.wait(self._slot)
        outputs = [np.array(output[0]) for output in self._slot.outputs]
        self._slot.let_go()
        return outputs

    def stop(self) -> None:
        """Refuse further runs; the one under way comes to its end."""
        self._stopped = True

    def close(self) -> None:
        """Close the lane and the backend."""
        self._closing.close()
