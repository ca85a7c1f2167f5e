"""A spread over the model tests of `onnx`: an engine answers as ONNX Runtime does, or refuses.

All of them: `make nightly-models`.
"""

import anyio
import pytest

from tests.judging.judgements import faults
from tests.onnx_backend.cases import all_cases, spread
from tests.onnx_backend.suite import Way, judged


@pytest.mark.parametrize("way", list(Way))
def test_models_of_the_onnx_package(way: Way) -> None:
    judgements = anyio.run(judged, spread(all_cases(), each=2), way)
    assert not faults(judgements)
    assert len(judgements) >= 250
