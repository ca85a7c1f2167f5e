"""What `bentoml serve` is given; `bentoml_server` starts it.

BentoML takes no raw bytes with `batchable`, so rows come as base64 in JSON and go as JSON lists.
"""

from base64 import b64decode

import bentoml
import numpy as np

from benchmarks.works import work

WORK = work()


@bentoml.service
class Rows:
    """The model as a BentoML service."""

    # BentoML has no types here
    @bentoml.api(batchable=True, max_batch_size=WORK.max_batch_size)  # type: ignore[untyped-decorator]
    def infer(self, rows: list[str]) -> list[list[float]]:
        """Base64 rows to lists of numbers."""
        answers: list[list[float]] = WORK.model(
            np.frombuffer(b"".join(b64decode(row) for row in rows), np.float32).reshape(
                len(rows), -1
            )
        ).tolist()
        return answers
