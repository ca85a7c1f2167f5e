"""Operators that compute one scale from all elements of a tensor."""

from collections.abc import Sequence
from typing import Final

from trtasync.rows.proof.calls import RULES, Call
from trtasync.rows.proof.tensors import Mixes, Tensor, Value

MICROSOFT: Final = "com.microsoft"

DYNAMIC: Final = frozenset(
    {
        ("", "DynamicQuantizeLinear"),
        (MICROSOFT, "DynamicQuantizeLSTM"),
        (MICROSOFT, "DynamicQuantizeMatMul"),
    }
)


@RULES.of("DynamicQuantizeLinear")
@RULES.of("DynamicQuantizeLSTM", "DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_quantization(call: Call) -> Sequence[Value]:
    if any(tensor.layout is not None for tensor in call.all_data()):
        raise Mixes("scales all rows by the largest element among them")
    return [Tensor(None)] * call.outputs
