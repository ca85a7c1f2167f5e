"""The models of a host, and what its sessions need from each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trtasync.core.assembly import Core
from trtasync.core.intake import Intake
from trtasync.engine import Engine, inside
from trtasync.errors import EngineClosed, InvalidInput, TrtasyncError
from trtasync.model.arrays import Array, Shape
from trtasync.model.axes import is_anonymous
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.requests.signature import Signature, Staged
from trtasync.runtimes import Backend
from trtasync.scheduler import Queue
from trtasync.shared.forms import Places, aligned, place
from trtasync.shared.records import Nonsense

MOST_AXES = 64


@dataclass(eq=False, slots=True)
class Form:
    """Requests of one combination of shapes.

    Attributes:
        places: where the inputs are.
        single: one bare array is given.
        lends: answers are so large that they are copied only once; learned from the first.
    """

    places: Places
    single: bool
    lends: bool = False


class Model:
    """A model that is served.

    Attributes:
        name: its name.
        engine: its open engine.
        intake: admits requests to it.
        backend: the backend that runs it.
        keeps: what a request in some place is holds for every other of the same form there.
    """

    def __init__(self, name: str, engine: Engine):
        """Serve an open engine, which remains its opener's to close."""
        self.name = name
        self.engine = engine
        within = inside(engine)
        self._reader = within.reader
        self.core: Core = within.core
        self.backend: Backend = within.backend
        self.intake: Intake = within.core.intake
        self.spec: ModelSpec = within.backend.spec
        inputs = enumerate(self.spec.inputs)
        self._shared = [at for at, tensor in inputs if self.spec.is_shared(tensor)]
        self.keeps: bool = not self._shared

    @property
    def lost(self) -> TrtasyncError | None:
        """Why it will never answer again; None while it does, or if it was closed regularly."""
        refusal = self.intake.refusal
        return None if isinstance(refusal, EngineClosed) else refusal

    def form(self, shapes: Sequence[Shape], single: bool) -> Form:
        """Check a combination of shapes.

        Raises:
            InvalidInput: as `Engine.infer`, for arrays of these shapes.
            ValueError: they do not fit any memory.
        """
        inputs = self.spec.inputs
        if len(shapes) != len(inputs):
            raise InvalidInput(
                f"the model has {len(inputs)} inputs; got {len(shapes)} shapes.",
                expected=len(inputs),
                got=len(shapes),
            )
        form = Form(place(shapes, [tensor.dtype for tensor in inputs]), single)
        if self.keeps:  # otherwise the values of shared inputs matter too
            self.read(form, [_nothing(each.shape, each.dtype) for each in form.places.each])
        return form

    def read(self, form: Form, arrays: Sequence[Array]) -> tuple[Signature[Queue], Staged]:
        """Read a request from these arrays: its signature, and what to stage.

        Shared inputs are copied before anything is derived from them: the client can write to their
        memory at any time, and what is kept of them is used for other clients too.

        Raises:
            InvalidInput: see `Engine.infer`.
        """
        given = list(arrays)
        for at in self._shared:
            given[at] = given[at].copy()
        return self._reader.read(given[0] if form.single else given)

    def answer_bytes(self, form: Form) -> int:
        """The bytes that an answer needs, by the declared shapes; 0 if they do not tell."""
        lengths: dict[str, int] = {}
        rows = None
        for tensor, put in zip(self.spec.inputs, form.places.each, strict=True):
            dims, axis = tensor.shape, tensor.batch_axis
            if axis is not None and len(put.shape) < len(dims):
                dims = (*dims[:axis], *dims[axis + 1 :])
            elif axis is not None:
                rows = put.shape[axis]
            known = zip(dims, put.shape, strict=False)
            lengths |= {dim: length for dim, length in known if isinstance(dim, str)}
        sizes = [_bytes(tensor, rows, lengths) for tensor in self.spec.outputs]
        return 0 if None in sizes else sum(aligned(size or 0) for size in sizes)


def _bytes(tensor: TensorSpec, rows: int | None, lengths: dict[str, int]) -> int | None:
    """Bytes of an output with this many rows, or one without batch axis; None if not known."""
    size = tensor.dtype.itemsize
    for at, dim in enumerate(tensor.shape):
        if at == tensor.batch_axis:
            size *= 1 if rows is None else rows
        elif isinstance(dim, int):
            size *= dim
        elif dim is None or is_anonymous(dim) or dim not in lengths:
            return None
        else:
            size *= lengths[dim]
    return size


def _nothing(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """An array of a shape, without memory for it."""
    return np.broadcast_to(np.empty((), dtype), shape)


def read_shapes(told: dict[str, Any]) -> tuple[list[Shape], bool]:
    """Read a `FORM` record.

    Raises:
        Nonsense: it is something else.
    """
    shapes, single = told.get("shapes"), told.get("single")
    if not isinstance(shapes, list) or not isinstance(single, bool):
        raise Nonsense("a form needs shapes, and whether a single array is given.")
    for shape in shapes:
        if not isinstance(shape, list) or len(shape) > MOST_AXES:
            raise Nonsense("a shape is a list of few lengths.")
        if any(type(length) is not int or length < 0 for length in shape):
            raise Nonsense("a length is a number, 0 or more.")
    return [tuple(shape) for shape in shapes], single
