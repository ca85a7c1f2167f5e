"""Matrix products and sums of products."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call
from trtasync.rows.proof.sizes import ONE, Size
from trtasync.rows.proof.tensors import Mixes, NotProved, RowLayout, Tensor, Value, broadcast


@RULES.of("MatMul")
def matmul(call: Call) -> Sequence[Value]:
    return [multiplied(call, call.data(0), call.data(1))]


def multiplied(call: Call, one: Tensor, other: Tensor) -> Tensor:
    """`numpy.matmul` of tensors with rows in them."""
    if one.shape is None or other.shape is None:
        if one.layout or other.layout:
            raise NotProved("multiplies rows by a tensor of unknown rank")
        return Tensor(None)
    for tensor, axis in ((one, one.rank - 1), (other, max(other.rank - 2, 0))):
        if tensor.layout is not None and tensor.layout.axis == axis:
            raise Mixes("sums products along the rows")
    # then a vector has no rows left
    left = Tensor((ONE, *one.dims)) if one.rank == 1 else one
    right = Tensor((*other.dims, ONE)) if other.rank == 1 else other
    batch = broadcast([_front(left), _front(right)], call.symbols)
    layout = batch.layout
    rank = batch.rank + 2
    for tensor, axis in ((left, left.rank - 2), (right, right.rank - 1)):
        if tensor.layout is not None and tensor.layout.axis == axis:
            if left.layout is not None and right.layout is not None:
                raise Mixes("multiplies rows by one another")
            layout = tensor.layout.at(rank - (tensor.rank - axis))
    shape = (*batch.dims, left.dims[-2], right.dims[-1])
    return _without_added(Tensor(shape, layout), one.rank == 1, other.rank == 1)


def _front(tensor: Tensor) -> Tensor:
    """The axes of a stack of matrices, without the matrices."""
    layout = tensor.layout
    inside = layout is not None and layout.axis < tensor.rank - 2
    return Tensor(tensor.dims[:-2], layout if inside else None)


def _without_added(tensor: Tensor, left: bool, right: bool) -> Tensor:
    shape = list(tensor.dims)
    layout = tensor.layout
    if right:
        del shape[-1]
    if left:
        at = len(shape) - 1 - (not right)
        del shape[at]
        if layout is not None and layout.axis > at:
            layout = layout.at(layout.axis - 1)
    return Tensor(tuple(shape), layout)


@RULES.of("Gemm")
def gemm(call: Call) -> Sequence[Value]:
    matrices = []
    for index, name in ((0, "transA"), (1, "transB")):
        tensor = call.data(index)
        if tensor.rank != 2:
            raise NotProved("multiplies what is not a matrix")
        matrices.append(_turned(tensor) if call.integer(name, 0) else tensor)
    result = multiplied(call, *matrices)
    if not call.has(2):
        return [result]
    if call.data(2).rank > 2 or call.version < 7:
        raise NotProved("adds a tensor in a way that is not supported")
    return [broadcast([result, call.data(2)], call.symbols)]


def _turned(tensor: Tensor) -> Tensor:
    layout = tensor.layout
    return Tensor(tensor.dims[::-1], layout and layout.at(1 - layout.axis))


@RULES.of("FusedMatMul", domain="com.microsoft")
def fused_matmul(call: Call) -> Sequence[Value]:
    names = ("transA", "transB", "transBatchA", "transBatchB")
    if any(call.integer(name, 0) for name in names):
        raise NotProved("transposes in a way that is not supported")
    return matmul(call)


@RULES.of("MatMulInteger")
def integer_matmul(call: Call) -> Sequence[Value]:
    call.single(2)
    return _with_column_scales(call, 0, 1, [3])


@RULES.of("QLinearMatMul")
def quantized_matmul(call: Call) -> Sequence[Value]:
    call.single(1, 2, 6, 7)
    return _with_column_scales(call, 0, 3, [4, 5])


@RULES.of("MatMulIntegerToFloat", domain="com.microsoft")
def integer_matmul_to_float(call: Call) -> Sequence[Value]:
    call.single(2, 4)
    call.shared(6)
    return _with_column_scales(call, 0, 1, [3, 5, 6])


def _with_column_scales(
    call: Call, left: int, right: int, scales: Sequence[int]
) -> Sequence[Value]:
    """A product whose right factor may have a scale for each of its columns."""
    if call.data(right).layout is None:
        call.shared(*scales)
        if any(call.data(index).rank > 1 for index in scales if call.has(index)):
            raise NotProved("has scales along more than columns")
    else:
        call.single(*scales)
    return [multiplied(call, call.data(left), call.data(right))]


@RULES.of("Einsum")
def einsum(call: Call) -> Sequence[Value]:
    tensors = call.all_data()
    terms, result = _equation(call.text("equation", ""), [tensor.rank for tensor in tensors])
    letters: dict[str, Size] = {}
    found: set[tuple[str, Size, Size]] = set()
    for term, tensor in zip(terms, tensors, strict=True):
        for axis, letter in enumerate(term):
            if letters.get(letter, ONE) == ONE:
                letters[letter] = tensor.dims[axis]
        if (layout := tensor.layout) is not None:
            found.add((term[layout.axis], layout.outer, layout.inner))
    if not found:
        return [Tensor(tuple(letters[letter] for letter in result))]
    if len(found) > 1:
        raise Mixes("joins tensors whose rows lie along different axes")
    [(letter, outer, inner)] = found
    for term, tensor in zip(terms, tensors, strict=True):
        if term.count(letter) > 1 or (tensor.layout is None and letter in term):
            raise Mixes("joins rows with a tensor that has other elements along them")
    if result.count(letter) != 1:
        raise Mixes("sums products along the rows")
    shape = tuple(letters[each] for each in result)
    return [Tensor(shape, RowLayout(result.index(letter), outer, inner))]


def _equation(equation: str, ranks: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """The letters of every axis; those of an ellipsis are named by their position from the end."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise NotProved("has an equation for another number of tensors")
    most = max(
        (rank - len(term) + 3 for term, rank in zip(terms, ranks, strict=True) if "." in term),
        default=0,
    )
    named = [_letters(term, rank) for term, rank in zip(terms, ranks, strict=True)]
    if arrow:
        return named, _letters(right, most + len(right.replace("...", "")))
    plain = "".join(terms).replace(".", "")
    once = sorted(letter for letter in set(plain) if plain.count(letter) == 1)
    return named, [*(f".{place}" for place in range(most, 0, -1)), *once]


def _letters(term: str, rank: int) -> list[str]:
    before, dots, after = term.partition("...")
    hidden = rank - len(before) - len(after) if dots else 0
    letters = [*before, *(f".{place}" for place in range(hidden, 0, -1)), *after]
    if len(letters) != rank:
        raise NotProved("has an equation for tensors of other ranks")
    return letters
