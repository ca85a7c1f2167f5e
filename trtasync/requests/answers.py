"""From the outputs of a batch to the answers of its requests."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

import numpy as np

from trtasync.errors import InferenceError
from trtasync.requests.signature import Array, Signature

Answer = TypeVar("Answer")


def take(outputs: Sequence[Array], start: int, rows: int) -> list[Array]:
    """Copies of rows `start` to `start + rows` of every output."""
    return [output[start : start + rows].copy() for output in outputs]


def borrow(outputs: Sequence[Array], start: int, rows: int) -> list[Array]:
    """Views of rows `start` to `start + rows` of every output."""
    return [output[start : start + rows] for output in outputs]


def join(pieces: Sequence[Sequence[Array]]) -> list[Array]:
    """One list of outputs from those of the pieces of a split request, in order.

    Raises:
        InferenceError: rows of another shape came of another batch.
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
        signature: of the request.
        names: of the outputs.
        outputs: the request's rows of every output.
        lent: they are views, and what is cut off them is to be a view too.

    Returns:
        an array for a single output when a single array was given, else a dict by output name.

    Raises:
        InferenceError: padding was to be cut off an output that is not as long as it should be.
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
    """The outputs of a run that was one request's, nothing moved, cut or left out of them."""
    if signature.single and len(outputs) == 1:
        return outputs[0]
    return dict(zip(names, outputs, strict=True))


def _arrange(output: Array, axis: int | None, bare: bool, lent: bool) -> Array:
    """The output with its batch axis where the model has it; of a bare answer without it."""
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
    """An answer that is lent: `with await engine.infer(x, copy=False) as y: ...`.

    The arrays are views of the memory the batch was answered in, which waits for the block's end.
    """

    __slots__ = ("_answer", "_give_back")

    def __init__(self, answer: Answer, give_back: Callable[[], None]):
        """Not for users."""
        self._answer: Answer | None = answer
        self._give_back: Callable[[], None] | None = give_back

    def __enter__(self) -> Answer:
        """The answer, in the form that `infer` gives without `copy=False`."""
        return cast(Answer, self._answer)

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the memory back: the arrays must not be looked at any more. Twice is fine."""
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
