"""What requests of one form look like in a slot: where their arrays are written, answers read."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from trtasync.loops import Future
from trtasync.memory.slots import GIL_COPY_BYTES
from trtasync.requests.signature import Array, Shape
from trtasync.shared.forms import Places

MOST_KNOWN = 64
"""Forms whose views a slot remembers."""

Key = tuple[tuple[Shape, ...], bool]
"""The shapes of a request's arrays, and whether a single one was given."""


class Form:
    """What is known of a request from its shapes.

    Attributes:
        number: what the host knows it by.
        key: see `Key`.
        inputs: where the arrays lie in a slot.
        answer_bytes: that answers had so far.
        free: free slots that are large enough for inputs and answer.
        answer_only: the same for the answer alone, when the inputs lie elsewhere.
        large: the copy of its arrays is worth being saved.
        vector: a single small array of one axis, which a slot takes by assignment.
    """

    __slots__ = (
        "answer_bytes",
        "answer_only",
        "free",
        "inputs",
        "key",
        "large",
        "number",
        "vector",
    )

    def __init__(self, number: int, key: Key, inputs: Places):
        self.number: int = number
        self.key: Key = key
        self.inputs: Places = inputs
        self.answer_bytes: int = 0
        self.free: list[Slot] = []
        self.answer_only: list[Slot] = []
        self.large: bool = inputs.size > GIL_COPY_BYTES
        first = inputs.each[0]
        only = len(inputs.each) == 1 and len(first.shape) == 1
        self.vector: bool = only and is_small(first.size, first.dtype)


def is_small(size: int, dtype: np.dtype[Any]) -> bool:
    """It is copied by memoryview assignment, which keeps the GIL; see `GIL_COPY_BYTES`."""
    return 0 < size <= GIL_COPY_BYTES and dtype.isbuiltin == 1


class Slot:
    """A piece of shared memory: a request and its answer, or an array of `empty_input`.

    Attributes:
        number: what the host knows it by.
        memory: its bytes.
        free: where it belongs when nobody uses it; None once the connection is gone.
        generation: counts its uses.
        form: that it is turned to; None where its answer lies at its beginning.
        target: the memory of its (first) input, to be assigned to.
        reply: who waits for the answer.
        lend: the answer is to be views of this memory.
        sources: arrays in other slots that its request reads.
        answers: the form of answers that `views` are of.
        views: of the answer.
        larger: where an answer goes that had no room here.
    """

    __slots__ = (
        "_arrays",
        "_known",
        "_targets",
        "answers",
        "form",
        "free",
        "generation",
        "larger",
        "lend",
        "memory",
        "number",
        "reply",
        "single",
        "sources",
        "target",
        "views",
    )

    def __init__(self, number: int, memory: Array, free: "list[Slot]"):
        self.number: int = number
        self.memory: Array = memory
        self.free: list[Slot] | None = free
        self.generation: int = 0
        self.form: Form | None = None
        self.target: Any = None
        self.reply: Future | None = None
        self.lend: bool = False
        self.single: bool = False
        self.sources: Any = None
        self.answers: Places | None = None
        self.views: list[Array] = []
        self.larger: Slot | None = None
        self._arrays: list[Array] = []
        self._targets: list[Any] = []
        self._known: dict[Form, tuple[list[Array], list[Any]]] = {}

    def turn(self, form: Form) -> None:
        """Turn it to requests of a form."""
        known = self._known.get(form)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            arrays = form.inputs.views(self.memory)
            known = self._known[form] = arrays, list(map(_target, arrays))
        self._arrays, self._targets = known
        self.form = form
        self.single = form.key[1]
        self.target = self._targets[0]
        self.answers = None

    def turn_to_answer(self, single: bool) -> None:
        """Only an answer will lie in it."""
        self.form = self.answers = None
        self.single = single

    def write(self, arrays: Sequence[Array]) -> None:
        """The arrays of a request, of the form it is turned to.

        Raises:
            BaseException: what reading them raises.
        """
        for to, target, array in zip(self._arrays, self._targets, arrays, strict=True):
            if type(target) is memoryview:
                try:
                    target[:] = cast(Any, array.reshape(-1))
                    continue
                except ValueError:  # unaligned memory has another buffer format
                    pass
            to[...] = array

    def look(self, answers: Places) -> None:
        """Turn the views to answers of a form.

        Raises:
            Exception: there is no room for such answers in it.
        """
        start = 0 if self.form is None else self.form.inputs.size
        self.views = answers.views(self.memory, start)
        self.answers = answers

    def give_back(self) -> None:
        """Nobody uses it any more. From any thread."""
        free = self.free
        if free is not None:
            free.append(self)


def _target(array: Array) -> Any:
    """What an array of a slot is written by."""
    if is_small(array.nbytes, array.dtype):
        return memoryview(cast(Any, array.reshape(-1)))
    return array


class Owner:
    """Holds a slot for as long as an array of `empty_input` lives: the caller's, or a request's."""

    def __init__(self, slot: Slot):
        self.slot = slot
        self.__array_interface__: dict[str, Any] = slot.memory.__array_interface__

    def __del__(self) -> None:
        self.slot.give_back()


def owner_of(array: Array) -> Owner | None:
    """Whose memory an array lies in, if it is of `empty_input`."""
    owner: Any = array.base
    if type(owner) is np.ndarray:  # numpy names the first array on the memory, not its owner
        owner = owner.base
    return owner if type(owner) is Owner else None
