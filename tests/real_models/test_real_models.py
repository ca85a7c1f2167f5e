"""Models out of packages on PyPI, where `make nightly-real` has fetched them."""

import anyio
import pytest

from tests.judging.judgements import faults
from tests.real_models.catalogue import MODELS
from tests.real_models.packages import Model
from tests.real_models.suite import Way, file_of, judged, ways


@pytest.mark.parametrize(
    ("model", "way"),
    [
        pytest.param(model, way, id=f"{model.name}, {way}")
        for model in MODELS
        for way in ways(model)
    ],
)
def test_a_real_model(model: Model, way: Way) -> None:
    if not file_of(model).exists():
        pytest.skip("not fetched; make nightly-real does")
    assert not faults([anyio.run(judged, model, way)])
