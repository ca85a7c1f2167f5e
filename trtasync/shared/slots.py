"""What requests of one form look like in a slot: where their arrays are written, answers read."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast
from weakref import ref

import numpy as np

from trtasync.loops import Future
from trtasync.memory.slots import GIL_COPY_BYTES
from trtasync.model.arrays import Array, Shape
from trtasync.requests.answers import LentAnswer
from trtasync.shared.forms import Places

ndarray = np.ndarray

NUMPY_KEEPS = 500
"""Elements up to which numpy keeps the GIL while it copies, and is faster than by memoryview."""

MOST_KNOWN = 64
"""Forms whose views a slot remembers."""

GENERATIONS = 2**32 - 1
"""A mask: they begin anew."""

Key = tuple[tuple[Shape, ...], bool]
"""The shapes of a request's arrays, and whether a single one was given."""


class Form:
    """What is known of a request from its shapes.

    Attributes:
        number: what the host knows it by.
        key: see `Key`.
        inputs: where the arrays lie in a slot.
        plain: its answer is one array.
        answer_bytes: that answers had so far.
        free: free slots that are large enough for inputs and answer.
        answers: free slots that are large enough for the answer.
        large: the copy of its arrays is worth being saved.
    """

    __slots__ = ("answer_bytes", "answers", "free", "inputs", "key", "large", "number", "plain")

    def __init__(self, number: int, key: Key, inputs: Places, plain: bool):
        self.number: int = number
        self.key: Key = key
        self.inputs: Places = inputs
        self.plain: bool = plain
        self.answer_bytes: int = 0
        self.free: list[Slot] = []
        self.answers: list[Slot] = []
        self.large: bool = inputs.size > GIL_COPY_BYTES


def is_small(size: int, dtype: np.dtype[Any]) -> bool:
    """It is copied by memoryview assignment, which keeps the GIL; see `GIL_COPY_BYTES`."""
    return 0 < size <= GIL_COPY_BYTES and dtype.isbuiltin == 1


class Slot:
    """A piece of shared memory: a request and its answer, or an array of `empty_input`.

    Attributes:
        number: what the host knows it by.
        memory: its bytes.
        address: of its first byte.
        free: where it belongs when nobody uses it; None once the connection is gone.
        generation: counts its uses.
        asked: the form of the request that is under way.
        form: that it is turned to; None while an answer lies at its beginning.
        vector: where its one array of one axis is assigned to; None for other forms.
        reply: who waits for the answer.
        plain: the answer is one array, and is copied.
        lent: takes the answer, if it is to be views of this memory; None if not.
        sources: where its request is read, if elsewhere: kept until it is over.
        answers: the form of answers that `views` are of.
        views: of the answer.
        copies: per view, what copies it.
        larger: where an answer goes that has no room here.
    """

    __slots__ = (
        "_arrays",
        "_known",
        "_targets",
        "address",
        "answers",
        "asked",
        "copies",
        "form",
        "free",
        "generation",
        "larger",
        "lent",
        "memory",
        "number",
        "plain",
        "reply",
        "sources",
        "vector",
        "views",
    )

    def __init__(self, number: int, memory: Array, address: int, free: "list[Slot]"):
        self.number: int = number
        self.memory: Array = memory
        self.address: int = address
        self.free: list[Slot] | None = free
        self.generation: int = 0
        self.asked: Form | None = None
        self.form: Form | None = None
        self.vector: Any = None
        self.reply: Future | None = None
        self.plain: bool = False
        self.lent: list[LentAnswer[Any]] | None = None
        self.sources: Sequence[tuple[Owner, int]] = ()
        self.answers: Places | None = None
        self.views: list[Array] = []
        self.copies: list[Callable[[], Array]] = []
        self.larger: Slot | None = None
        self._arrays: list[Array] = []
        self._targets: list[Any] = []
        self._known: dict[Form, tuple[list[Array], list[Any]]] = {}

    def turn(self, form: Form) -> None:
        """Turn it to requests of a form, their arrays within."""
        known = self._known.get(form)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            arrays = form.inputs.views(self.memory)
            known = self._known[form] = arrays, list(map(_target, arrays))
        self._arrays, self._targets = known
        one = len(self._arrays) == 1 and self._arrays[0].ndim == 1
        self.vector = self._targets[0] if one and self._targets[0] is not self._arrays[0] else None
        self.form = form
        self.plain = form.plain
        self.answers = None

    def turn_to_answer(self, plain: bool = False) -> None:
        """Only an answer will lie in it, from its beginning."""
        if self.form is not None:
            self.form = self.answers = None
        self.plain = plain

    def write(self, arrays: Sequence[Array]) -> None:
        """The arrays of a request, of the form it is turned to.

        Raises:
            BaseException: what reading them raises.
        """
        for to, target, array in zip(self._arrays, self._targets, arrays, strict=True):
            if target is not to:
                try:
                    target[:] = array.reshape(-1)
                    continue
                except ValueError:  # unaligned memory has another buffer format
                    pass
            to[...] = array

    def look(self, answers: Places) -> None:
        """Turn the views to answers of a form.

        Raises:
            Exception: there is no room for such answers.
        """
        start = 0 if self.form is None else self.form.inputs.size
        self.views = answers.views(self.memory, start)
        self.copies = list(map(_copier, self.views))
        self.answers = answers

    def end(self) -> None:
        """Its request is over."""
        self.generation = (self.generation + 1) & GENERATIONS
        self.reply = self.asked = None
        if self.lent is not None or self.sources:
            self.lent = None
            self.sources = ()
            self.turn_to_answer()  # no plain request finds it as it is

    def free_up(self) -> None:
        """The host neither reads nor writes it any more, nor where its answer lies."""
        larger, self.larger = self.larger, None
        self.end()
        self.give_back()
        if larger is not None:
            larger.give_back()

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


def _copier(view: Array) -> Callable[[], Array]:
    """What copies an answer. numpy would let go of the GIL for each of them."""
    if view.size <= NUMPY_KEEPS or not is_small(view.nbytes, view.dtype):
        return view.copy
    shape, dtype, memory = view.shape, view.dtype, memoryview(cast(Any, view.reshape(-1)))
    return lambda: ndarray(shape, dtype, bytearray(memory))


class Owner:
    """Holds a slot for as long as an array of `empty_input` lives: the caller's, or a request's.

    Attributes:
        slot: that the array lies in.
        whole: the array, but for views of it.
    """

    __slots__ = ("__array_interface__", "slot", "whole")

    def __init__(self, slot: Slot, shape: Shape, typestr: str):
        self.slot: Slot = slot
        self.whole: Callable[[], Array | None] = _nothing
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "data": (slot.address, False),
            "shape": shape,
            "typestr": typestr,
        }

    def __del__(self) -> None:
        self.slot.give_back()


def array_in(slot: Slot, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """An array at the beginning of a slot, which is free again when the array and its views are
    gone."""
    if dtype.isbuiltin == 1:
        owner = Owner(slot, shape, dtype.str)
        array: Array = np.asarray(owner)
    else:  # numpy knows it by its object only
        owner = Owner(slot, (math.prod(shape) * dtype.itemsize,), "|u1")
        array = np.asarray(owner).view(dtype).reshape(shape)
    owner.whole = ref(array)
    return array


def source_of(array: Array) -> tuple[Owner, int] | None:
    """Whose memory an array lies in, and at which byte of it; None if the host cannot read it
    there."""
    owner: Any = array.base
    if type(owner) is np.ndarray:  # numpy names the first array on the memory, not its owner
        owner = owner.base
    # that of an earlier connection lies where the host does not look any more
    if type(owner) is not Owner or owner.slot.free is None or not array.flags.c_contiguous:
        return None
    if owner.whole() is array:
        return owner, 0
    return owner, array.__array_interface__["data"][0] - owner.slot.address


def sources_of(arrays: Sequence[Array]) -> Sequence[tuple[Owner, int]]:
    """Where the arrays lie; () where the host cannot read all of them there."""
    sources = []
    for array in arrays:
        source = source_of(array)
        if source is None:
            return ()
        sources.append(source)
    return sources


def _nothing() -> None:
    """There is no array yet."""
