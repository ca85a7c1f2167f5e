"""Operators that compute each element from the elements at the same place."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call
from trtasync.rows.proof.tensors import NotProved, Tensor, Value, broadcast


@RULES.of(
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast"),
    *("Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid"),
    *("HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not"),
    *("Reciprocal", "RegexFullMatch", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin"),
    *("Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu"),
)
@RULES.of("Gelu", "QuickGelu", domain="com.microsoft")
@RULES.of("Binarizer", "LabelEncoder", "CategoryMapper", domain="ai.onnx.ml")
def unary(call: Call) -> Sequence[Value]:
    return [call.data().like()]


@RULES.of(
    *("Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal"),
    *("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul"),
    *("Or", "PRelu", "Pow", "StringConcat", "Sub", "Sum", "Where", "Xor"),
)
@RULES.of("BiasGelu", "FastGelu", domain="com.microsoft")
def joined(call: Call) -> Sequence[Value]:
    if call.integer("broadcast", 0):
        raise NotProved("broadcasts as operator sets before 7 do")
    return [broadcast(call.all_data(), call.symbols)]


@RULES.of("Clip")
def clip(call: Call) -> Sequence[Value]:
    call.shared(1, 2)
    return [call.data().like()]


@RULES.of("CastLike")
def cast_like(call: Call) -> Sequence[Value]:
    return [call.data().like()]


@RULES.of("Dropout")
def dropout(call: Call) -> Sequence[Value]:
    """Nothing is dropped outside training, which the walk has refused."""
    return [call.data().like()] * 2


@RULES.of("QLinearAdd", "QLinearMul", domain="com.microsoft")
def quantized_pair(call: Call) -> Sequence[Value]:
    call.single(1, 2, 4, 5, 6, 7)
    return [broadcast([call.data(0), call.data(3)], call.symbols)]


@RULES.of("QLinearSigmoid", "QLinearLeakyRelu", domain="com.microsoft")
def quantized(call: Call) -> Sequence[Value]:
    call.single(1, 2, 3, 4)
    return [call.data().like()]


@RULES.of("QuantizeLinear", "DequantizeLinear")
@RULES.of("QuantizeLinear", "DequantizeLinear", domain="com.microsoft")
def by_given_scales(call: Call) -> Sequence[Value]:
    tensor = call.data()
    call.shared(1, 2)
    for index in (1, 2):
        if tensor.layout is not None and call.has(index):
            _check_scale(call, tensor, call.data(index))
    return [tensor.like()]


def _check_scale(call: Call, tensor: Tensor, scale: Tensor) -> None:
    if all(size.number == 1 for size in scale.dims):
        return
    by_blocks = call.integer("block_size", 0)
    axis = call.axis("axis", 1, tensor.rank)
    if by_blocks or scale.rank != 1 or tensor.layout is None or axis == tensor.layout.axis:
        raise NotProved("has scales for rows that may not exist")
