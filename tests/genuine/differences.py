"""Where a double is known to differ from NVIDIA's own builder: why, and what each of them does."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import ndiff


@dataclass(frozen=True, slots=True)
class Difference:
    """A program that ends otherwise on the double.

    Attributes:
        reason: why it is left so.
        genuine: the steps that only NVIDIA's builder takes, in their order.
        double: those that only the double takes.
    """

    reason: str
    genuine: tuple[str, ...] = ()
    double: tuple[str, ...] = ()


ALIKE = Difference("there is none")


def apart(genuine: Sequence[str], double: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The steps that only one of two took."""
    lines = list(ndiff(genuine, double))
    gone = tuple(line[2:] for line in lines if line.startswith("- "))
    come = tuple(line[2:] for line in lines if line.startswith("+ "))
    return gone, come


_LEVEL = "config.hardware_compatibility_level"
_NOT_FOR_RTX = "TensorRT for RTX has set_compute_capability in its place"
_BUILT = "builder.build_serialized_network -> memory"
_NOT_BUILT = "builder.build_serialized_network -> None [ERROR]"

DIFFERENCES: dict[str, Difference] = {
    "configs.a_plan_as_a_memoryview": Difference(
        "no class of Python's own has a buffer whose format and itemsize contradict each other; "
        "and bytes are read-only",
        ("format -> 'f'", "readonly -> False"),
        ("format -> 'B'", "readonly -> True"),
    ),
    "configs.a_version_compatible_plan": Difference(
        "TensorRT for RTX has no lean runtime for a plan", (_NOT_BUILT,), (_BUILT,)
    ),
    "configs.plans_for_other_gpus": Difference(
        _NOT_FOR_RTX,
        (
            f"{_LEVEL} := HardwareCompatibilityLevel.AMPERE_PLUS -> None [WARNING]",
            f"{_LEVEL} = HardwareCompatibilityLevel.NONE [ERROR] [WARNING]",
        ),
        (
            f"{_LEVEL} := HardwareCompatibilityLevel.AMPERE_PLUS -> None",
            f"{_LEVEL} = HardwareCompatibilityLevel.AMPERE_PLUS",
        ),
    ),
    "configs.plans_for_this_gpu": Difference(
        _NOT_FOR_RTX,
        (
            f"{_LEVEL} := HardwareCompatibilityLevel.NONE -> None [WARNING]",
            f"{_LEVEL} = HardwareCompatibilityLevel.NONE [ERROR] [WARNING]",
        ),
        (
            f"{_LEVEL} := HardwareCompatibilityLevel.NONE -> None",
            f"{_LEVEL} = HardwareCompatibilityLevel.NONE",
        ),
    ),
    "models.an_operator_it_has_not": Difference(
        "the double's parser has all operators of ONNX, but for those that a test takes away",
        (
            "parser.parse -> False [ERROR]",
            "parser.num_errors = 1",
            "parser.get_error -> problem",
            "problem.code -> ErrorCode.UNSUPPORTED_NODE",
            "problem.node -> 0",
            "problem.node_operator -> 'Det'",
        ),
        ("parser.parse -> True", "parser.num_errors = 0"),
    ),
    "models.bfloat16": Difference(
        "the double computes with ONNX Runtime, whose CPU has no Relu in bfloat16",
        (_BUILT,),
        (_NOT_BUILT,),
    ),
    "models.nonsense_that_ends_a_group": Difference(
        "an end-group tag ends the reading of protobuf in C++, and is an error in Python",
        ("parser.parse -> True", "parser.num_errors = 0"),
        (
            "parser.parse -> False [ERROR]",
            "parser.num_errors = 1",
            "parser.get_error -> problem",
            "problem.code -> ErrorCode.MODEL_DESERIALIZE_FAILED",
            "problem.node -> -1",
            "problem.node_operator -> ''",
        ),
    ),
    "models.sizes_that_depend_on_data": Difference(
        "TensorRT has NonZero, TensorRT for RTX not",
        (
            "parser.parse -> False [ERROR]",
            "parser.num_errors = 1",
            "parser.get_error -> problem",
            "problem.code -> ErrorCode.UNSUPPORTED_NODE",
            "problem.node -> 0",
            "problem.node_operator -> 'NonZero'",
            "network.num_outputs = 0",
            _NOT_BUILT,
        ),
        (
            "parser.parse -> True [WARNING]",
            "parser.num_errors = 0",
            "network.num_outputs = 1",
            "network.get_output -> tensor",
            "tensor.name = 'y'",
            "tensor.dtype = DataType.INT64",
            "tensor.shape = [2, -1]",
            _BUILT,
        ),
    ),
    "monitors.phases_to_their_ends": Difference(
        "left to the double: a bar that reaches its end",
        ("all steps were done -> False",),
        ("all steps were done -> True",),
    ),
    "monitors.threads_of_a_build": Difference(
        "TensorRT calls a monitor from several threads, and the product must bear it; TensorRT for "
        "RTX from the calling one",
        ("only mine -> True",),
        ("only mine -> False",),
    ),
}
"""By the program's name."""
