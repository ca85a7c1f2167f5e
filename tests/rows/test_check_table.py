"""Models that people have, whose rows are not what their shapes make one think."""

import pytest

from tests.rows.mixing_models import (
    AUDIO_FRONT_END,
    CUMSUM,
    DETECTOR,
    FRAMES,
    QUANTIZED,
    SIMILARITY,
    SOFTMAX_OF_COLUMNS,
    SORTED_BOXES,
    recurrent,
)
from tests.rows.support import OnnxTrial
from trtasync.rows.check import check
from trtasync.rows.schedule import Neighbours
from trtasync.rows.verdicts import Finding, Verdict


def found(model: bytes, **axes: int | None) -> Finding:
    """Of the only output."""
    (finding,) = check(OnnxTrial(model), axes, deadline=30)
    return finding


@pytest.mark.parametrize(
    "model",
    [CUMSUM, SORTED_BOXES, QUANTIZED, AUDIO_FRONT_END],
    ids=["cumsum", "sorted boxes", "dynamic quantization", "floor by the batch's maximum"],
)
def test_rows_that_depend_on_their_neighbours_are_coupled(model: bytes) -> None:
    finding = found(model, x=0)
    assert finding.verdict is Verdict.COUPLED
    assert finding.axis == 0
    assert finding.difference > 0
    assert finding.beside


@pytest.mark.parametrize("model", [DETECTOR, SIMILARITY], ids=["detector", "similarity"])
def test_an_output_without_rows_is_coupled(model: bytes) -> None:
    finding = found(model, x=0)
    assert finding.verdict is Verdict.COUPLED
    assert finding.axis is None
    assert "for 3 rows" in finding.why
    assert "for 5 rows" in finding.why


def test_a_waveform_is_never_called_independent() -> None:
    assert found(FRAMES, x=0).verdict in (Verdict.COUPLED, Verdict.UNKNOWN)


def test_columns_of_a_matrix_are_coupled_along_the_softmax() -> None:
    assert found(SOFTMAX_OF_COLUMNS, x=0).verdict is Verdict.COUPLED


def test_the_evidence_of_dynamic_quantization_names_neighbours_and_size() -> None:
    finding = found(QUANTIZED, x=0)
    assert finding.beside in set(Neighbours)
    assert f"{finding.difference:.3g}" in finding.why


def test_recurrent_state_has_its_own_batch_axis_and_the_rate_is_shared() -> None:
    finding = check(OnnxTrial(recurrent()), {"input": 0, "state": 1, "sr": None}, deadline=30)
    assert [one.verdict for one in finding] == [Verdict.TESTED] * 2
    assert [one.axis for one in finding] == [0, 1]
