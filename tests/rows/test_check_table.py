"""Models that people have, whose rows are not what their shapes make one think."""

import numpy as np
import onnx
import pytest

from tests.rows.support import OnnxTrial, graph
from trtasync.rows.check import check
from trtasync.rows.schedule import Neighbours
from trtasync.rows.verdicts import Finding, Verdict

CUMSUM = graph("(float[T,4] x) => (float[T,4] y) <int64 zero = {0}>", "{ y = CumSum(x, zero) }")

SORTED_BOXES = graph(
    "(float[N,6] x) => (float[N,6] y) <int64 zero = {0}>",
    """{
        score = Gather <axis = 1> (x, zero)
        count = Shape <start = 0, end = 1> (x)
        best, order = TopK <axis = 0> (score, count)
        y = Gather <axis = 0> (x, order)
    }""",
)

DETECTOR = graph(
    "(float[batch,6] x) => (float[num_dets,6] y) <int64 zero = {0}, float half = {0.5}>",
    """{
        score = Gather <axis = 1> (x, zero)
        sure = Greater(score, half)
        y = Compress <axis = 0> (x, sure)
    }""",
)

FRAMES = graph(
    "(float[samples] x) => (float[frames,8] y) <int64[2] shape = {-1, 8}>",
    "{ y = Reshape(x, shape) }",
)

SOFTMAX_OF_COLUMNS = graph("(float[N,N] x) => (float[N,N] y)", "{ y = Softmax <axis = 0> (x) }")

QUANTIZED = graph(
    "(float[N,4] x) => (float[N,2] y) <uint8[4,2] w = {1,2,3,4,5,6,7,8}>",
    """{
        q, scale, zero = DynamicQuantizeLinear(x)
        product = MatMulInteger(q, w, zero)
        wide = Cast <to = 1> (product)
        y = Mul(wide, scale)
    }""",
)

AUDIO_FRONT_END = graph(
    "(float[N,T] x) => (float[N,T] y) <float range = {8}, float tiny = {1e-10}>",
    """{
        power = Mul(x, x)
        some = Max(power, tiny)
        loudness = Log(some)
        top = ReduceMax <keepdims = 0> (loudness)
        floor = Sub(top, range)
        y = Max(loudness, floor)
    }""",
)

SIMILARITY = graph(
    "(float[N,4] x) => (float[N,N] y)",
    "{ t = Transpose(x)\n y = MatMul(x, t) }",
)


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


def recurrent() -> bytes:
    """A voice activity model's signature: state [2, batch, 128] and a scalar sampling rate."""
    text = graph(
        "(float[batch,512] input, float[2,batch,128] state, int64 sr)"
        " => (float[batch,1] output, float[2,batch,128] stateN)"
        " <int64 zero = {0}, int64 rate = {16000}>",
        """{
            known = Equal(sr, rate)
            gate = Cast <to = 1> (known)
            features = MatMul(input, w)
            first = Gather <axis = 0> (state, zero)
            mixed = Add(features, first)
            gated = Mul(mixed, gate)
            h = Tanh(gated)
            stateN = Mul(state, gate)
            output = MatMul(h, v)
        }""",
    )
    model = onnx.load_model_from_string(text)
    chance = np.random.default_rng(0)
    for name, shape in {"w": (512, 128), "v": (128, 1)}.items():
        weights = 0.05 * chance.standard_normal(shape, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights, name))
    return bytes(model.SerializeToString())
