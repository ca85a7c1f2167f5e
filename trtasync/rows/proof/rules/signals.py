"""Fourier transforms and word counts."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call, normalized
from trtasync.rows.proof.sizes import Size
from trtasync.rows.proof.tensors import Mixes, NotProved, Value


@RULES.of("DFT")
def fourier(call: Call) -> Sequence[Value]:
    tensor = call.data()
    call.shared(1)
    if call.version >= 20:
        axis = normalized(call.numbers(2)[0] if call.has(2) else -2, tensor.rank)
    else:
        axis = call.axis("axis", 1, tensor.rank)
    if tensor.layout is not None and tensor.layout.axis in (axis, tensor.rank - 1):
        raise Mixes("transforms along the rows")
    shape = [*tensor.dims[:-1], call.symbols.fresh()]
    shape[axis] = call.symbols.fresh()
    return [tensor.reshaped(tuple(shape))]


@RULES.of("STFT")
def short_time_fourier(call: Call) -> Sequence[Value]:
    """Inputs: signal, frame_step, window, frame_length."""
    signal, layout = call.rows(0)
    call.shared(1, 2, 3)
    if layout.axis != 0 or signal.rank < 2:
        raise Mixes("transforms along the rows")
    frames, bins = call.symbols.fresh(), call.symbols.fresh()
    return [signal.reshaped((signal.dims[0], frames, bins, Size.of(2)))]


@RULES.of("TfIdfVectorizer")
def word_counts(call: Call) -> Sequence[Value]:
    tensor = call.data()
    if tensor.rank != 2 or (tensor.layout is not None and tensor.layout.axis != 0):
        raise Mixes("counts words over all rows")
    return [tensor.reshaped((tensor.dims[0], call.symbols.fresh()))]


@RULES.of("Det")
def determinant(call: Call) -> Sequence[Value]:
    tensor = call.data()
    if tensor.layout is not None and tensor.layout.axis >= tensor.rank - 2:
        raise NotProved("takes rows for those of a matrix")
    return [tensor.reshaped(tensor.dims[:-2])]
