"""Models that people have, whose rows are not what their shapes make one think."""

import numpy as np
import onnx

from tests.rows.support import graph

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
