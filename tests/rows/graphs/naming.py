"""How exporters name the axes of a model, the one of the batch among them."""

import random
from typing import Any

from onnx import helper

from tests.rows.graphs.builder import element
from tests.rows.graphs.values import FREE, ROWS, Value

BATCH = ["batch", "N", "batch_size", "unk__{}", "?", None, None]
LENGTH = ["len", "time", "T", "unk__{}", "?", None]


class Naming:
    """One exporter's way, for all tensors of a model."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        batch = chance.choice(BATCH)
        # ONNX Runtime refuses to run where axes of one name differ in length
        length = chance.choice([word for word in LENGTH if word != batch or word != "?"])
        self._words = {ROWS: batch, FREE: length}
        self._numbered = 0

    def describe(self, value: Value) -> Any:
        """An input or output with its shape."""
        dims = [self._dim(dim) for dim in value.shape]
        return helper.make_tensor_value_info(value.name, element(value.dtype), dims)

    def describe_output(self, value: Value) -> Any:
        """With its shape or its rank alone."""
        if self._chance.random() < 0.7:
            return self.describe(value)
        dims = [None] * value.rank
        return helper.make_tensor_value_info(value.name, element(value.dtype), dims)

    def _dim(self, dim: int | str) -> int | str | None:
        if isinstance(dim, int):
            return dim
        word = self._words.get(dim)
        if word is None:
            return None
        self._numbered += 1
        return word.format(self._numbered)
