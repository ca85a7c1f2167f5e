"""What one client knows about answers: their shapes, by number."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trtasync.errors import InferenceError
from trtasync.model.arrays import Array, Shape
from trtasync.model.tensors import ModelSpec
from trtasync.shared.forms import Places, place

MOST_SHAPES = 4096
"""Combinations of shapes with a number; then numbering begins anew."""


class AnswerBook:
    """See the module's docstring."""

    def __init__(
        self,
        spec: ModelSpec,
        announce: Callable[[int, tuple[Shape, ...]], None],
        renumber: Callable[[], None],
    ):
        """Start with a client that knows nothing.

        Args:
            spec: the model's spec.
            announce: tells the client what a number means from now on.
            renumber: called before numbers get other meanings.
        """
        self._outputs = spec.outputs
        self._dtypes: list[np.dtype[Any]] = [output.dtype for output in spec.outputs]
        self._announce = announce
        self._renumber = renumber
        self._known: dict[tuple[Shape, ...], tuple[int, Places]] = {}

    def number(self, outputs: Sequence[Array]) -> tuple[int, Places]:
        """Return the number of these answers' shapes, which the client then knows, and their
        layout.

        Raises:
            InferenceError: the model returns a type other than declared: only shapes are announced.
        """
        for output, spec in zip(outputs, self._outputs, strict=True):
            if output.dtype != spec.dtype:
                raise InferenceError(
                    f"output {spec} has dtype {output.dtype}; only the declared one can be "
                    "sent to another process."
                )
        shapes = tuple(output.shape for output in outputs)
        known = self._known.get(shapes)
        if known is None:
            if len(self._known) >= MOST_SHAPES:
                self._known.clear()
                self._renumber()
            known = self._known[shapes] = len(self._known), place(shapes, self._dtypes)
            self._announce(known[0], shapes)
        return known
