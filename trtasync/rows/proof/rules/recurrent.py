"""LSTM, GRU and RNN."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call
from trtasync.rows.proof.sizes import ONE, Size
from trtasync.rows.proof.tensors import Mixes, NotProved, Refuses, Tensor, Value


@RULES.of("LSTM", "GRU", "RNN")
def recurrent(call: Call) -> Sequence[Value]:
    """Inputs: X, W, R, B, sequence_lens, initial_h, initial_c, P."""
    if call.data(0).rank != 3:
        raise Refuses
    tensor, layout = call.rows(0)
    batch_first = bool(call.integer("layout", 0))
    if layout.axis != (0 if batch_first else 1):
        raise Mixes("iterates over the rows")
    call.shared(1, 2, 3, 7)
    states = 0 if batch_first else 1
    for index, axis in ((4, 0), (5, states), (6, states)):
        if call.has(index) and call.rows(index)[1] != layout.at(axis):
            raise NotProved("has states whose rows lie along another axis")
    directions = Size.of(2 if call.text("direction", "forward") == "bidirectional" else 1)
    hidden = call.data(2).dims[2]
    rows = tensor.dims[layout.axis]
    if batch_first:
        all_steps = (rows, tensor.dims[1], directions, hidden)
        last = Tensor((rows, directions, hidden), layout)
        return [Tensor(all_steps, layout), last, last]
    last = Tensor((directions, rows, hidden), layout)
    all_steps = (tensor.dims[0], directions, rows, hidden)
    return [Tensor(all_steps, layout.at(2)), last, last]


@RULES.of("Attention")
def attention(call: Call) -> Sequence[Value]:
    """Inputs: Q, K, V, attn_mask, past_key, past_value, nonpad_kv_seqlen."""
    query, layout = call.rows(0)
    if not layout.plain or layout.axis != 0:
        raise Mixes("compares rows with one another")
    for index in (1, 2, 4, 5, 6):
        if (index < 3 or call.has(index)) and call.rows(index)[1] != layout:
            raise Mixes("compares rows with one another")
    if call.has(3):
        mask = call.data(3)
        if mask.layout is None:
            if mask.rank == 4 and mask.dims[0] != ONE:
                raise Mixes("masks rows by their places")
        elif mask.layout != layout or mask.rank != 4:
            raise Mixes("masks rows by one another")
    key, value = call.data(1), call.data(2)
    fresh = call.symbols.fresh
    present = [Tensor((each.dims[0], fresh(), fresh(), fresh()), layout) for each in (key, value)]
    result = (*query.dims[:-1], _width(call, query, value))
    scores = Tensor((query.dims[0], fresh(), fresh(), fresh()), layout)
    return [Tensor(result, layout), *present, scores]


def _width(call: Call, query: Tensor, value: Tensor) -> Size:
    return value.dims[3] if query.rank == 4 and value.rank == 4 else call.symbols.fresh()
