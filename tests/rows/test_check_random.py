"""Random graphs whose truth is known: no false alarm, no coupling missed, in little time."""

import re

import numpy as np
import onnx
import pytest

from tests.rows.support import OnnxTrial, graph
from trtasync.rows.check import check
from trtasync.rows.verdicts import Finding, Verdict

# `a` goes in and `b` comes out, both [N, 6, 8]; names that occur once in a layer end in _
INDEPENDENT = {
    "relu": "b = LeakyRelu(a)",
    "sigmoid": "b = Sigmoid(a)",
    "linear": "b = MatMul(a, weight)",
    "linear over steps": "t_ = Transpose <perm = [0, 2, 1]> (a)\n"
    "u_ = MatMul(t_, square)\n b = Transpose <perm = [0, 2, 1]> (u_)",
    "softmax": "b = Softmax <axis = -1> (a)",
    "norm": "b = LayerNormalization <axis = -1> (a, ones)",
    "cumsum over steps": "b = CumSum(a, one)",
    "sorted": "b, i_ = TopK <axis = 2> (a, eight)",
    "residual mean": "m_ = ReduceMean(a, last)\n b = Sub(a, m_)",
    "conv": "b = Conv <kernel_shape = [3], pads = [1, 1]> (a, kernel)",
    "reversed steps": "b = Gather <axis = 1> (a, backwards)",
    "attention": "t_ = Transpose <perm = [0, 2, 1]> (a)\n s_ = MatMul(a, t_)\n"
    "p_ = Softmax <axis = -1> (s_)\n b = MatMul(p_, a)",
    "split": "l_, r_ = Split <axis = 2, num_outputs = 2> (a)\n b = Concat <axis = 2> (r_, l_)",
    "position": "p_ = CumSum(ones_like, one)\n b = Add(a, p_)",
}

COUPLED = {
    "maximum": "m_ = ReduceMax <keepdims = 1> (a, first)\n b = Sub(a, m_)",
    "mean": "m_ = ReduceMean(a, first)\n b = Add(a, m_)",
    "faint mean": "m_ = ReduceMean(a, first)\n n_ = Mul(m_, faint)\n b = Add(a, n_)",
    "softmax": "s_ = Softmax <axis = 0> (a)\n b = Add(a, s_)",
    "cumsum": "b = CumSum(a, zero)",
    "cumsum from the end": "b = CumSum <reverse = 1> (a, zero)",
    "sorted": "n_ = Shape <end = 1> (a)\n b, i_ = TopK <axis = 0> (a, n_)",
    "norm over the batch": "m_ = ReduceMean(a, first)\n c_ = Sub(a, m_)\n q_ = Mul(c_, c_)\n"
    "v_ = ReduceMean(q_, first)\n e_ = Add(v_, faint)\n d_ = Sqrt(e_)\n b = Div(c_, d_)",
    "quantized": "q_, s_, z_ = DynamicQuantizeLinear(a)\n b = DequantizeLinear(q_, s_, z_)",
    "largest of all": "m_ = ReduceMax <keepdims = 0> (a)\n h_ = Mul(m_, faint)\n b = Max(a, h_)",
    "row number": "c_ = CumSum(ones_like, zero)\n b = Add(a, c_)",
    "reversed": "b = ReverseSequence <batch_axis = 1, time_axis = 0> (a, counts)",
}

SIGNATURE = """(float[N,6,8] x) => (float[N,6,8] y)
    <int64 zero = {0}, int64 one = {1}, int64[1] first = {0}, int64[1] last = {2},
     int64[1] eight = {8}, int64[1] six = {6}, int64[6] backwards = {5,4,3,2,1,0},
     float faint = {0.001}, float[8] ones = {1,1,1,1,1,1,1,1}>"""


HELPERS = [
    "zeros = Sub(x, x)",
    "ones_like = Exp(zeros)",
    "rows = Shape <end = 1> (x)",
    "counts = Expand(rows, six)",
]


def random_model(chance: np.random.Generator, coupling: str | None) -> bytes:
    """Up to three layers, perhaps a coupling, up to two layers that pass it on."""
    before = chance.choice(list(INDEPENDENT), chance.integers(0, 4))
    after = chance.choice(["relu", "linear", "linear over steps", "split"], chance.integers(0, 3))
    layers = [INDEPENDENT[name] for name in before]
    layers += [COUPLED[coupling]] if coupling else [INDEPENDENT["linear"]]
    layers += [INDEPENDENT[name] for name in after]
    nodes = [*HELPERS, "layer0 = Identity(x)"]
    for number, layer in enumerate(layers):
        nodes += [_renamed(node, number) for node in layer.split("\n")]
    text = "\n".join([*nodes, f"y = Identity(layer{len(layers)})"])
    model = onnx.load_model_from_string(graph(SIGNATURE, f"{{ {text} }}"))
    for name, shape in {"weight": (8, 8), "square": (6, 6), "kernel": (6, 6, 3)}.items():
        values = 0.4 * chance.standard_normal(shape, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return bytes(model.SerializeToString())


def _renamed(node: str, number: int) -> str:
    """A layer's node with the graph's own names."""
    node = re.sub(r"\b(\w+)_\b", rf"\g<1>{number}", node)
    return re.sub(r"\bb\b", f"layer{number + 1}", re.sub(r"\ba\b", f"layer{number}", node))


def finding(model: bytes, seed: int) -> Finding:
    """Of the only output."""
    (found,) = check(OnnxTrial(model), {"x": 0}, deadline=30, seed=seed)
    return found


@pytest.mark.parametrize("seed", range(30))
def test_independent_rows_raise_no_alarm(seed: int) -> None:
    found = finding(random_model(np.random.default_rng(seed), None), seed)
    assert (found.verdict, found.axis) == (Verdict.TESTED, 0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("coupling", COUPLED)
def test_coupled_rows_are_found(coupling: str, seed: int) -> None:
    found = finding(random_model(np.random.default_rng(seed), coupling), seed)
    assert found.verdict is Verdict.COUPLED
