"""Operators that repeat elements or generate them."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call
from trtasync.rows.proof.sizes import ONE, ZERO, Size
from trtasync.rows.proof.tensors import ROW_NUMBERS, Mixes, NotProved, RowLayout, Tensor, Value


@RULES.of("Expand")
def expand(call: Call) -> Sequence[Value]:
    tensor = call.data()
    target = call.lengths(1, of_rows=True)
    if target is None:
        raise NotProved("expands to a shape that is not known")
    rank = max(tensor.rank, len(target))
    more = rank - tensor.rank
    own = (ONE,) * more + tensor.dims
    wanted = [ONE] * (rank - len(target)) + target
    layout = tensor.layout and tensor.layout.at(tensor.layout.axis + more)
    shape = []
    for axis, (size, asked) in enumerate(zip(own, wanted, strict=True)):
        shape.append(_expanded(call, size, asked, layout, axis))
    return [_grown(call, shape, layout)]


def _expanded(call: Call, size: Size, asked: Size, layout: RowLayout | None, axis: int) -> Size:
    if asked in (ONE, size):
        return size
    if layout is not None and axis == layout.axis:
        raise NotProved("repeats rows, not provably just once")
    if size == ONE:
        return asked
    if asked.rows:
        raise Mixes("joins rows with a tensor that has other elements along them")
    if size.number is not None:
        return size  # the other one is equal to it, or 1
    return call.symbols.fresh()


def _grown(call: Call, shape: Sequence[Size], layout: RowLayout | None) -> Tensor:
    """A tensor with equal elements along an axis whose length is the number of rows."""
    grown = [axis for axis, size in enumerate(shape) if size.rows]
    if layout is None and len(grown) == 1:
        inner = shape[grown[0]].divided_by(call.symbols.rows)
        if inner is None:
            raise NotProved("makes a length from which the rows cannot be recovered")
        layout = RowLayout(grown[0], inner=inner)
    return Tensor(tuple(shape), layout)


@RULES.of("ConstantOfShape")
def constant_of_shape(call: Call) -> Sequence[Value]:
    lengths = call.lengths(0, of_rows=True)
    return [Tensor(None) if lengths is None else _grown(call, lengths, None)]


@RULES.of("Range")
def count(call: Call) -> Sequence[Value]:
    try:
        start, limit, step = (call.lengths(index, of_rows=index == 1) for index in range(3))
    except NotProved:  # floats
        call.shared(0, 1, 2)
        return [Tensor((call.symbols.fresh(),))]
    if start != [ZERO] or step != [ONE] or limit is None or limit[0].least is None:
        call.shared(0, 1, 2)
        return [Tensor((call.symbols.fresh(),))]
    if limit == [call.symbols.rows]:
        return [Tensor((limit[0],), RowLayout(0), places=ROW_NUMBERS)]
    return [Tensor((limit[0],))]


@RULES.of("Tile")
def tile(call: Call) -> Sequence[Value]:
    tensor = call.data()
    repeats = call.lengths(1, of_rows=True)
    if call.version < 6 or repeats is None or len(repeats) != tensor.rank:
        raise NotProved("repeats along axes that are not known")
    layout = tensor.layout
    if layout is not None and repeats[layout.axis] != ONE:
        raise Mixes("repeats the rows")
    shape = [size * times for size, times in zip(tensor.dims, repeats, strict=True)]
    return [_grown(call, shape, layout)]
