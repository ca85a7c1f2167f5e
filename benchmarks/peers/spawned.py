"""The model as fast-dynamic-batcher wants it: a class that its child process can import."""

import numpy as np
from fast_dynamic_batcher.inference_template import InferenceModel

from benchmarks.works import work
from benchmarks.yardsticks import Array


class Rows(InferenceModel):  # type: ignore[misc]
    """The model."""

    def infer(self, inputs: list[Array]) -> list[Array]:
        """A list of rows to a list of answers."""
        return list(work().model(np.stack(inputs))) if inputs else []
