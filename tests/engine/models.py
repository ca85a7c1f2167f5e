"""Models that the tests of the engine share."""

from support.helpers import Array, tensor
from trtasync.testing import FunctionBackend

X = tensor("x", "N", 4)


def two_outputs(a: Array, b: Array) -> list[Array]:
    """(sum, row total of a)."""
    return [a + b, a.sum(axis=1)]


def pair() -> FunctionBackend:
    return FunctionBackend(
        two_outputs,
        inputs=[tensor("a", "N", 2), tensor("b", "N", 2)],
        outputs=[tensor("sum", "N", 2), tensor("total", "N")],
    )
