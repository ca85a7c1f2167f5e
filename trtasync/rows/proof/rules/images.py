"""Convolutions, pooling, resizing: axis 0 is the batch, axis 1 channels, the rest spatial."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call
from trtasync.rows.proof.sizes import ONE, Size
from trtasync.rows.proof.tensors import Coupled, Mixes, NotProved, Shape, Tensor, Value, broadcast

Pads = tuple[Sequence[int], Sequence[int]]


def image(call: Call, index: int = 0) -> Tensor:
    """An input whose rows, if it has any, lie along axis 0."""
    tensor = call.data(index)
    if tensor.layout is not None and tensor.layout.axis != 0:
        raise NotProved("takes rows for something else, as they do not lie along axis 0")
    return tensor


@RULES.of("Conv")
def conv(call: Call) -> Sequence[Value]:
    call.shared(1, 2)
    return [_convolved(call, image(call), call.data(1))]


@RULES.of("FusedConv", domain="com.microsoft")
def fused_conv(call: Call) -> Sequence[Value]:
    call.shared(1, 2)
    result = _convolved(call, image(call), call.data(1))
    return [broadcast([result, image(call, 3)], call.symbols) if call.has(3) else result]


@RULES.of("ConvInteger")
def integer_conv(call: Call) -> Sequence[Value]:
    call.shared(1, 3)
    call.single(2)
    return [_convolved(call, image(call), call.data(1))]


@RULES.of("QLinearConv")
def quantized_conv(call: Call) -> Sequence[Value]:
    call.shared(3, 4, 5, 8)
    call.single(1, 2, 6, 7)
    return [_convolved(call, image(call), call.data(3))]


def _convolved(call: Call, tensor: Tensor, weight: Tensor) -> Tensor:
    kernel = [size.number for size in weight.dims[2:]]
    places = _windows(call, tensor.dims[2:], kernel)
    return tensor.reshaped((tensor.dims[0], weight.dims[0], *places))


def _windows(call: Call, sizes: Shape, kernel: Sequence[int | None]) -> Shape:
    """The number of positions of a window along each axis."""
    rank = len(sizes)
    strides = call.attributes.get("strides") or [1] * rank
    dilations = call.attributes.get("dilations") or [1] * rank
    pads = call.attributes.get("pads") or [0] * 2 * rank
    automatic = call.text("auto_pad", "NOTSET")
    found = []
    for axis, size in enumerate(sizes):
        width, stride = kernel[axis], int(strides[axis])
        if automatic in ("SAME_UPPER", "SAME_LOWER"):
            found.append(call.symbols.quotient(size + Size.of(stride - 1), stride))
            continue
        if width is None or stride < 1 or call.integer("ceil_mode", 0):
            found.append(call.symbols.fresh())
            continue
        reach = (width - 1) * int(dilations[axis]) + 1
        padded = 0 if automatic == "VALID" else int(pads[axis]) + int(pads[axis + rank])
        found.append(call.symbols.quotient(size + Size.of(padded - reach), stride) + ONE)
    return tuple(found)


@RULES.of("ConvTranspose")
def transposed_conv(call: Call) -> Sequence[Value]:
    tensor, weight = image(call), call.data(1)
    call.shared(1, 2)
    channels = weight.dims[1] * Size.of(call.integer("group", 1))
    places = [_widened(call, axis, weight) for axis in range(tensor.rank - 2)]
    return [tensor.reshaped((tensor.dims[0], channels, *places))]


def _widened(call: Call, axis: int, weight: Tensor) -> Size:
    """The length of an axis after a transposed convolution."""
    rank = weight.rank - 2
    attributes = call.attributes
    shape = attributes.get("output_shape")
    if shape:
        return Size.of(shape[axis - rank])
    width = weight.dims[2 + axis].number
    if width is None or call.text("auto_pad", "NOTSET") != "NOTSET":
        return call.symbols.fresh()
    ones, zeros = [1] * rank, [0] * 2 * rank
    stride = (attributes.get("strides") or ones)[axis]
    dilation = (attributes.get("dilations") or ones)[axis]
    pads = attributes.get("pads") or zeros
    more = (attributes.get("output_padding") or zeros)[axis]
    added = more + (width - 1) * dilation + 1 - pads[axis] - pads[axis + rank] - stride
    return call.data().dims[2 + axis] * Size.of(stride) + Size.of(added)


@RULES.of("AveragePool", "LpPool", "MaxPool")
def pool(call: Call) -> Sequence[Value]:
    tensor = image(call)
    kernel = [int(width) for width in call.attributes["kernel_shape"]]
    places = _windows(call, tensor.dims[2:], kernel)
    pooled = tensor.reshaped((*tensor.dims[:2], *places))
    if tensor.layout is None:
        return [pooled, pooled]
    return [pooled, Coupled("MaxPool's output Indices counts places over the whole batch", True)]


@RULES.of("QLinearAveragePool", domain="com.microsoft")
def quantized_pool(call: Call) -> Sequence[Value]:
    call.single(1, 2, 3, 4)
    if call.integer("channels_last", 0):
        raise NotProved("has its channels in a place that is not supported")
    return pool(call)[:1]


@RULES.of("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")
def global_pool(call: Call) -> Sequence[Value]:
    tensor = image(call)
    return [tensor.reshaped((*tensor.dims[:2], *[ONE] * (tensor.rank - 2)))]


@RULES.of("QLinearGlobalAveragePool", domain="com.microsoft")
def quantized_global_pool(call: Call) -> Sequence[Value]:
    call.single(1, 2, 3, 4)
    if call.integer("channels_last", 0):
        raise NotProved("has its channels in a place that is not supported")
    return global_pool(call)


@RULES.of("BatchNormalization")
def batch_normalization(call: Call) -> Sequence[Value]:
    tensor = image(call)
    call.shared(1, 2, 3, 4)
    training = call.outputs > 1 if call.version < 14 else call.integer("training_mode", 0)
    if call.version < 7:
        training = not call.integer("is_test", 0)
    if training:
        raise Mixes("is in training mode: it normalizes over the whole batch")
    return [tensor.like()]


@RULES.of("InstanceNormalization", "GroupNormalization")
def group_normalization(call: Call) -> Sequence[Value]:
    tensor = image(call)
    call.shared(1, 2)
    return [tensor.like()]


@RULES.of("LRN")
def local_response(call: Call) -> Sequence[Value]:
    return [image(call).like()]


@RULES.of("GridSample")
def grid_sample(call: Call) -> Sequence[Value]:
    tensor, grid = image(call, 0), image(call, 1)
    if tensor.layout != grid.layout:
        raise NotProved("lacks rows where others have them")
    return [tensor.reshaped((*tensor.dims[:2], *grid.dims[1:-1]))]


@RULES.of("AffineGrid")
def affine_grid(call: Call) -> Sequence[Value]:
    theta = image(call)
    lengths = call.lengths(1, of_rows=True)
    if lengths is None or lengths[0] != theta.dims[0]:
        raise Mixes("makes a grid for another number of rows")
    return [theta.reshaped((lengths[0], *lengths[2:], Size.of(len(lengths) - 2)))]


@RULES.of("Col2Im")
def columns_to_image(call: Call) -> Sequence[Value]:
    tensor = image(call)
    lengths = call.lengths(1)
    call.shared(2)
    if lengths is None:
        raise NotProved("makes an image of unknown rank")
    return [tensor.reshaped((tensor.dims[0], call.symbols.fresh(), *lengths))]
