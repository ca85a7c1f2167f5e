"""Model files of the `onnx` package and our own, on NVIDIA's own builder.

The package's large ones, the models that it makes when asked and those out of packages on PyPI:
`make nightly-genuine`.
"""

import re

import pytest

from support.helpers import MODELS
from tests.genuine.library import is_installed
from tests.genuine.sweep import Subject, of_the_onnx_package, sweep
from tests.judging.judgements import Judgement, Outcome, faults
from tests.plans.support import PROFILES
from trtasync import Profile

pytestmark = [
    pytest.mark.genuine_builder,
    pytest.mark.skipif(not is_installed(), reason="TensorRT for RTX is not there"),
]

LARGE = re.compile("light_(?!squeezenet|bvlc_alexnet)")
"""Networks that take seconds."""


def of(judgements: list[Judgement], outcome: Outcome) -> list[Judgement]:
    return [judgement for judgement in judgements if judgement.outcome is outcome]


def test_models_of_the_onnx_package_are_built_or_refused_in_a_sentence() -> None:
    subjects = [each for each in of_the_onnx_package() if not LARGE.match(each.name)]
    judgements = list(sweep(subjects))
    assert not faults(judgements)
    assert len(of(judgements, Outcome.RIGHT)) >= 90
    refused = {each.model: each.detail for each in of(judgements, Outcome.REFUSED)}
    assert refused["test_sequence_model1"] == (
        "BuildError: not supported by this TensorRT: SequenceEmpty (node 0), SequenceInsert (node "
        "1, 2, 3), SequenceAt (node 4)."
    )
    folders = {str(subject.path.parent) for subject in subjects}
    assert not [text for text in refused.values() if any(folder in text for folder in folders)]


def test_all_example_models_are_built() -> None:
    shapes = {name: Profile.parse(text).shapes for name, text in PROFILES.items() if text}
    models = sorted(MODELS.glob("*.onnx"))
    judgements = list(sweep(Subject(m.stem, m, shapes.get(m.stem, {})) for m in models))
    assert {judgement.model for judgement in judgements} == set(PROFILES)
    assert of(judgements, Outcome.RIGHT) == judgements


def test_a_sentence_that_is_none_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they were: a clause for each node, in the words of the parser's source."""
    (subject,) = (each for each in of_the_onnx_package() if each.name == "test_sequence_model1")
    monkeypatch.setattr(
        "trtasync.plans.networks.problems_of",
        lambda parser: "; ".join(
            f"node {n}: Assertion failed: {parser.get_error(n).desc()}"
            for n in range(parser.num_errors)
        ),
    )
    (judgement,) = sweep([subject])
    assert judgement.outcome is Outcome.UNCLEAR
