"""Operators that combine the elements along some axes: sound if the batch axis is not one."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call, normalized
from trtasync.rows.proof.sizes import ONE, Size
from trtasync.rows.proof.tensors import Mixes, NotProved, Shape, Tensor, Value, broadcast


def apart(tensor: Tensor, axes: Sequence[int], what: str) -> None:
    """Refuse what is done along the rows."""
    if tensor.layout is not None and tensor.layout.axis in axes:
        raise Mixes(f"{what} along the rows")


def without(tensor: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    """The shape after a reduction."""
    layout = tensor.layout
    shape: Shape
    if keep:
        shape = tuple(ONE if axis in axes else size for axis, size in enumerate(tensor.dims))
        return Tensor(shape, layout)
    shape = tuple(size for axis, size in enumerate(tensor.dims) if axis not in axes)
    before = 0 if layout is None else sum(axis < layout.axis for axis in set(axes))
    return Tensor(shape, layout and layout.at(layout.axis - before))


@RULES.of(
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
    *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
)
def reduce(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axes = call.axes(1, tensor.rank)
    if not axes:
        if call.integer("noop_with_empty_axes", 0):
            return [tensor.like()]
        axes = list(range(tensor.rank))
    apart(tensor, axes, "reduces")
    return [without(tensor, axes, bool(call.integer("keepdims", 1)))]


@RULES.of("ArgMax", "ArgMin")
def arg(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axis = call.axis("axis", 0, tensor.rank)
    apart(tensor, [axis], "searches")
    return [without(tensor, [axis], bool(call.integer("keepdims", 1)))]


@RULES.of("Softmax", "LogSoftmax", "Hardmax")
def softmax(call: Call) -> Sequence[Value]:
    tensor = call.data()
    if call.version >= 13:
        axes = [call.axis("axis", -1, tensor.rank)]
    else:
        axes = list(range(call.axis("axis", 1, tensor.rank), tensor.rank))
    apart(tensor, axes, "normalizes")
    return [tensor.like()]


@RULES.of("LpNormalization")
def lp_normalization(call: Call) -> Sequence[Value]:
    tensor = call.data()
    apart(tensor, [call.axis("axis", -1, tensor.rank)], "normalizes")
    return [tensor.like()]


@RULES.of("MeanVarianceNormalization")
def mean_variance(call: Call) -> Sequence[Value]:
    tensor = call.data()
    if call.version < 9:
        raise NotProved("normalizes as operator sets before 9 do")
    axes = call.axes(None, tensor.rank)
    apart(tensor, [0, 2, 3] if axes is None else axes, "normalizes")
    return [tensor.like()]


@RULES.of("CumSum", "CumProd")
def running(call: Call) -> Sequence[Value]:
    tensor = call.data()
    [axis] = call.numbers(1)
    apart(tensor, [normalized(axis, tensor.rank)], "accumulates")
    return [tensor.like()]


@RULES.of("TopK")
def top(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axis = call.axis("axis", -1, tensor.rank)
    apart(tensor, [axis], "sorts")
    if call.version < 10:
        [length] = [Size.of(call.attributes["k"])]
    else:
        [length] = call.lengths(1) or [call.symbols.fresh()]
    shape = tuple(length if each == axis else size for each, size in enumerate(tensor.dims))
    return [tensor.reshaped(shape)] * 2


@RULES.of("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
def layer_normalization(call: Call) -> Sequence[Value]:
    tensor = call.data()
    axes = list(range(call.axis("axis", -1, tensor.rank), tensor.rank))
    apart(tensor, axes, "normalizes")
    call.shared(1, 2)
    tensors = [call.data(index) for index in (1, 2) if call.has(index)]
    if any(scale.rank > tensor.rank for scale in tensors):
        raise NotProved("scales by a tensor of a higher rank")
    broadcast([tensor, *tensors], call.symbols)  # refuses scales of single rows
    statistics = without(tensor, axes, keep=True)
    return [tensor.like(), statistics, statistics]


@RULES.of("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain="com.microsoft")
def skip_layer_normalization(call: Call) -> Sequence[Value]:
    """Normalizes the sum of two tensors of the same shape over its last axis."""
    tensor, layout = call.rows(0)
    if call.rows(1)[1] != layout or tensor.rank != 3:
        raise Mixes("joins tensors whose rows lie along different axes")
    apart(tensor, [2], "normalizes")
    call.shared(2, 3, 4)
    return [tensor.like()]
