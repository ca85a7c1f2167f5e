"""Operators that pick or place elements by index."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call
from trtasync.rows.proof.tensors import Mixes, NotProved, RowLayout, Tensor, Value


@RULES.of("Gather")
def gather(call: Call) -> Sequence[Value]:
    data, indices = call.data(0), call.data(1)
    axis = call.axis("axis", 0, data.rank)
    shape = (*data.dims[:axis], *indices.dims, *data.dims[axis + 1 :])
    if data.layout is None:
        layout = indices.layout
        return [Tensor(shape, layout and layout.at(layout.axis + axis))]
    if indices.layout is not None:
        raise Mixes("picks from all rows for every row")
    if data.layout.axis == axis:
        raise Mixes("picks some of the rows")
    after = data.layout.axis > axis
    return [Tensor(shape, data.layout.at(data.layout.axis + (indices.rank - 1) * after))]


@RULES.of("GatherElements")
def gather_elements(call: Call) -> Sequence[Value]:
    data, indices = call.data(0), call.data(1)
    axis = call.axis("axis", 0, data.rank)
    if data.layout is None and indices.layout is None:
        return [indices.like()]
    if data.layout != indices.layout or data.layout is None or data.layout.axis == axis:
        raise Mixes("picks from other rows than its own")
    return [indices.like()]


@RULES.of("GatherND")
def gather_nd(call: Call) -> Sequence[Value]:
    data, indices = call.data(0), call.data(1)
    batch = call.integer("batch_dims", 0)
    depth = indices.dims[-1].number
    if depth is None or not 0 <= batch < min(data.rank, indices.rank):
        raise NotProved("picks by indices of unknown depth")
    shape = (*indices.dims[:-1], *data.dims[batch + depth :])
    return [Tensor(shape, _gathered(data, indices, batch, depth))]


def _gathered(data: Tensor, indices: Tensor, batch: int, depth: int) -> RowLayout | None:
    one, two = data.layout, indices.layout
    if two is not None and two.axis == indices.rank - 1:
        raise Mixes("combines several rows into one index")
    if one is None:
        if two is not None and two.axis < batch:
            raise Mixes("picks by the places of the rows")
        return two
    if two is not None:
        if one != two or one.axis >= batch:
            raise Mixes("picks from other rows than its own")
        return one
    if one.axis < batch + depth:
        raise Mixes("picks some of the rows")
    return one.at(indices.rank - 1 + one.axis - batch - depth)


@RULES.of("ScatterElements", "Scatter")
def scatter_elements(call: Call) -> Sequence[Value]:
    data, indices, updates = call.data(0), call.data(1), call.data(2)
    axis = call.axis("axis", 0, data.rank)
    layouts = {data.layout, indices.layout, updates.layout}
    if len(layouts) > 1 or (data.layout is not None and data.layout.axis == axis):
        raise Mixes("places elements in other rows than their own")
    return [data.like()]


@RULES.of("ScatterND")
def scatter_nd(call: Call) -> Sequence[Value]:
    data, indices, updates = call.data(0), call.data(1), call.data(2)
    if indices.layout is not None:
        raise Mixes("places elements at indices computed from single rows")
    depth = indices.dims[-1].number
    if depth is None:
        raise NotProved("places elements by indices of unknown depth")
    if data.layout is None and updates.layout is None:
        return [data.like()]
    if data.layout is None or data.layout.axis < depth:
        raise Mixes("places elements in some of the rows")
    where = data.layout.at(indices.rank - 1 + data.layout.axis - depth)
    if updates.layout != where:
        raise Mixes("places elements in other rows than their own")
    return [data.like()]


@RULES.of("OneHot")
def one_hot(call: Call) -> Sequence[Value]:
    indices = call.data(0)
    call.shared(1, 2)
    axis = call.axis("axis", -1, indices.rank + 1)
    depth = call.lengths(1)
    length = depth[0] if depth and depth[0].least is not None else call.symbols.fresh()
    shape = (*indices.dims[:axis], length, *indices.dims[axis:])
    layout = indices.layout
    return [Tensor(shape, layout and layout.at(layout.axis + (axis <= layout.axis)))]


@RULES.of("ArrayFeatureExtractor", domain="ai.onnx.ml")
def pick_features(call: Call) -> Sequence[Value]:
    tensor = call.data()
    call.shared(1)
    if tensor.layout is None or tensor.rank < 2 or tensor.layout.axis == tensor.rank - 1:
        raise Mixes("picks some of the rows")
    return [tensor.reshaped((*tensor.dims[:-1], call.symbols.fresh()))]


@RULES.of("RotaryEmbedding")
def rotary(call: Call) -> Sequence[Value]:
    tensor = call.data()
    tables, positions = (1, 2), 3
    if tensor.layout is not None and tensor.layout.axis != 0:
        raise Mixes("rotates elements along the rows")
    if not call.has(positions):
        for index in tables:
            if call.data(index).layout != RowLayout(0):
                raise Mixes("rotates rows by their places")
        if tensor.layout != RowLayout(0):
            raise Mixes("rotates all rows by what was computed from single ones")
        return [tensor.like()]
    call.shared(*tables)
    if tensor.layout is None or call.data(positions).layout != tensor.layout:
        raise Mixes("rotates rows by their places")
    return [tensor.like()]
