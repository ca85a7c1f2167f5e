"""Losses: row by row only if they are not reduced."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call
from trtasync.rows.proof.rules.images import image
from trtasync.rows.proof.tensors import Coupled, Tensor, Value


@RULES.of("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(call: Call) -> Sequence[Value]:
    """Inputs: scores, labels, weights. The second output is the logarithm of the softmax."""
    scores, labels = image(call, 0), image(call, 1)
    call.shared(2)
    rows = call.rows(0)[1], call.rows(1)[1]
    single: Value = Tensor(labels.dims, labels.layout)
    if call.text("reduction", "mean") != "none" or rows[0] != rows[1]:
        single = Coupled(f"the loss of {call.operator} is that of all rows together", True)
    return [single, scores.like()]
