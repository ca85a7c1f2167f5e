"""From the outputs of a batch to the answers of its requests."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

import numpy as np

from trtasync.errors import InferenceError
from trtasync.model.arrays import Array
from trtasync.requests.signature import Signature

Answer = TypeVar("Answer")


def take(outputs: Sequence[Array], start: int, rows: int) -> list[Array]:
    """Copy the rows from `start` to `start + rows` of every output."""
    return [output[start : start + rows].copy() for output in outputs]


def borrow(outputs: Sequence[Array], start: int, rows: int) -> list[Array]:
    """View the rows from `start` to `start + rows` of every output."""
    return [output[start : start + rows] for output in outputs]


def join(pieces: Sequence[Sequence[Array]]) -> list[Array]:
    """Join the outputs of the pieces of a split request, in order.

    Raises:
        InferenceError: the batches gave rows of different shapes.
    """
    for index, parts in enumerate(zip(*pieces, strict=True)):
        shapes = sorted({part.shape[1:] for part in parts})
        if len(shapes) > 1:
            raise InferenceError(
                f"output {index} has rows of shape {shapes[0]} in one batch and {shapes[1]} in "
                "another, so a request of more rows than a batch cannot be joined again: send at "
                "most max_batch_size rows at a time."
            )
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def shape_answer(
    signature: Signature[Any], names: Sequence[str], outputs: Sequence[Array], lent: bool = False
) -> Any:
    """Give the outputs of one request the form its caller expects.

    Args:
        signature: the request's signature.
        names: the names of the outputs.
        outputs: the request's rows of every output.
        lent: they are views, and must remain views when they are cut.

    Returns:
        an array if a single array was given and there is one output, else a dict by output name.

    Raises:
        InferenceError: padding cannot be cut off, because an output has an unexpected length.
    """
    shaped = []
    for index, output in enumerate(outputs):
        cut = signature.cuts.get(index)
        if cut is not None:
            output = cut.apply(output)
            output = output if lent else output.copy()
        if signature.bare:
            output = output[0, ...]
        if signature.axes is not None:
            output = _arrange(output, signature.axes[index], signature.bare, lent)
        shaped.append(output)
    if signature.single and len(shaped) == 1:
        return shaped[0]
    return dict(zip(names, shaped, strict=True))


def as_it_is(signature: Signature[Any], names: Sequence[str], outputs: Sequence[Array]) -> Any:
    """The outputs of a run of a single request, unchanged."""
    if signature.single and len(outputs) == 1:
        return outputs[0]
    return dict(zip(names, outputs, strict=True))


def _arrange(output: Array, axis: int | None, bare: bool, lent: bool) -> Array:
    """Move the batch axis to its place in the model's output; remove it from a bare answer."""
    if axis is None:
        return output
    if bare:  # the model's own output, for one row
        if output.shape[axis : axis + 1] != (1,):
            raise InferenceError(
                f"an output has shape {output.shape} for one row, and no single row along axis "
                f"{axis}: give the request its batch axis, to get what the model gives."
            )
        return output.squeeze(axis)
    moved = np.moveaxis(output, 0, axis)
    return moved if lent else np.ascontiguousarray(moved)


class LentAnswer(Generic[Answer]):
    """A lent answer: `with await engine.infer(x, copy=False) as y: ...`.

    The arrays are views of the batch's own memory, which is not reused before the block ends.
    """

    __slots__ = ("_answer", "_give_back")

    def __init__(self, answer: Answer, give_back: Callable[[], None]):
        """Not for users."""
        self._answer: Answer | None = answer
        self._give_back: Callable[[], None] | None = give_back

    def __enter__(self) -> Answer:
        """Return the answer, in the same form as without `copy=False`."""
        return cast(Answer, self._answer)

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Return the memory: the arrays must not be used any more. Calling it twice is allowed."""
        give_back, self._give_back = self._give_back, None
        self._answer = None
        if give_back is not None:
            give_back()

    def __del__(self) -> None:
        if self._give_back is not None:
            warnings.warn(
                "an answer lent by infer(copy=False) was not given back; use it in a `with` block",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            self.release()
