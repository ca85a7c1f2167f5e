"""Reading what a caller gave to `infer`: names, dtypes, ranks, every dimension.

Whether a request is acceptable depends on its shapes and dtypes only, so the verdict on
a combination of shapes (a `Signature`) is kept: a request of a known one costs one dictionary
look-up.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic

import numpy as np

from trtasync.errors import InvalidInput
from trtasync.model.arrays import Array, Shape
from trtasync.model.axes import is_anonymous
from trtasync.model.tensors import ModelSpec, Pad, TensorSpec
from trtasync.requests.given import Adopt, GivenReader, adopt_nothing
from trtasync.requests.host_arrays import fingerprint, own
from trtasync.requests.padding import RowPad, find_cuts, read_padding
from trtasync.requests.signature import Layout, QueueT, Signature, Staged

MAX_SIGNATURES = 4096
"""Signatures kept at most; past that they are forgotten and found again: shapes can be endless."""

MAX_SHARED_BYTES = 64 << 20
"""Shared inputs kept at most, likewise."""


class RequestReader(Generic[QueueT]):
    """Checks requests against a model's specs and sorts them into queues of one layout."""

    def __init__(
        self,
        spec: ModelSpec,
        padding: Mapping[str, Pad],
        make_queue: Callable[[Layout], QueueT],
        adopt: Adopt = adopt_nothing,
    ):
        """Check the padding rules against the model.

        Args:
            spec: the model's inputs and outputs.
            padding: input name -> padding rule.
            make_queue: called once per new layout; may raise InvalidInput to refuse it.
            adopt: takes arrays over that lie on a device of the backend.

        Raises:
            InvalidInput: a padding rule does not suit its input.
        """
        self._spec = spec
        self._row_inputs = spec.row_inputs
        self._shared = [at for at, tensor in enumerate(spec.inputs) if spec.is_shared(tensor)]
        self._pads = read_padding(spec, padding)
        self._make_queue = make_queue
        # rows of such an array are copied as they lie, so they must come first in it
        rows_first = all(tensor.batch_axis in (0, None) for tensor in spec.inputs)
        adopts = not any(self._pads) and (rows_first or not spec.batched)
        self._given = GivenReader(spec, adopt if adopts else adopt_nothing)
        self._row_axes = tuple(tensor.batch_axis for tensor in self._row_inputs)
        self._queues: dict[Any, tuple[QueueT, Layout]] = {}
        self._kept = 0
        self.arrays: dict[Shape, Signature[QueueT]] = {}
        """Signatures of requests that were one bare array, by its shape, where it is staged as it
        is: the hot path looks here."""
        self._single: dict[Any, Signature[QueueT]] = {}
        self._named: dict[Any, Signature[QueueT]] = {}
        self.dtype: np.dtype[Any] = spec.inputs[0].dtype

    @property
    def queues(self) -> Iterable[QueueT]:
        """Of the layouts that are known."""
        return (queue for queue, _ in self._queues.values())

    def read(self, inputs: Any) -> tuple[Signature[QueueT], Staged]:
        """Check one request.

        Args:
            inputs: an array, a sequence of arrays in input order, or a mapping by input name.

        Returns:
            its signature, and what is staged, rows first: its array (a model of one input) or tuple
            of arrays in the order of the row inputs.

        Raises:
            InvalidInput: naming the input, what was expected and what came.
        """
        arrays, single = self._given.read(inputs)
        shared: tuple[Array, ...] = ()
        if self._shared:
            arrays, shared = self._take_shared(arrays)
        shapes = tuple(array.shape for array in arrays)
        key: Any = (shapes, tuple(map(fingerprint, shared))) if shared else shapes
        signature = (self._single if single else self._named).get(key)
        if signature is None:
            signature = self._new_signature(shapes, shared, single)
            self._keep(signature, key)
        if signature.axes is not None:
            arrange = _with_axis if signature.bare else _rows_first
            arrays = tuple(map(arrange, arrays, self._row_axes))
        return signature, (arrays[0] if len(arrays) == 1 else arrays)

    def _keep(self, signature: Signature[QueueT], key: Any) -> None:
        signatures = self._single if signature.single else self._named
        if len(signatures) >= MAX_SIGNATURES:
            self._forget()
        signatures[key] = signature
        if signature.single and signature.axes is None and not self._shared:
            self.arrays[key[0]] = signature

    def _take_shared(
        self, arrays: tuple[Array, ...]
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """(the arrays that rows are staged from, those that all rows of a batch share)."""
        for at in self._shared:
            spec, array = self._spec.inputs[at], arrays[at]
            if not _fits(spec, array.shape):
                what = "shape tensor" if spec.host else "input"
                why = "its values apply to the whole batch, so it has no batch axis."
                help_ = why if spec.shape else _rank_help(spec, (0,))
                raise InvalidInput(
                    f"{what} {spec} got shape {array.shape}: {help_}",
                    name=spec.name,
                    expected=spec.shape,
                    got=array.shape,
                )
        rest = tuple(array for at, array in enumerate(arrays) if at not in self._shared)
        return rest, tuple(arrays[at] for at in self._shared)

    def _forget(self) -> None:
        self.arrays.clear()
        self._single.clear()
        self._named.clear()
        self._queues.clear()
        self._kept = 0

    def _new_signature(
        self, shapes: tuple[Shape, ...], shared: tuple[Array, ...], single: bool
    ) -> Signature[QueueT]:
        sample, rows = self._rows(shapes)
        lengths = tuple(
            self._row_shape(spec, shape, sample)
            for spec, shape in zip(self._row_inputs, shapes, strict=True)
        )
        self._check_dims(lengths)
        padded = tuple(map(_padded, self._row_inputs, lengths, self._pads))
        queue, layout = self._queue(padded, shared)
        cuts = find_cuts(self._spec, self._pads, lengths, padded)
        bare = sample or not self._spec.batched
        axes = self._answer_axes(bare, sample)
        content = [
            ((rows, *shape), spec.dtype)
            for spec, shape in zip(self._row_inputs, lengths, strict=True)
        ]
        return Signature(queue, layout, rows, bare, single, cuts, axes, content)

    def _row_shape(self, spec: TensorSpec, shape: Shape, sample: bool) -> Shape:
        """Of what the slot calls a row: without the batch axis, or, alone, the whole of it."""
        axis = spec.batch_axis
        if axis is None or self._spec.batched == sample:
            return shape
        return (*shape[:axis], 1, *shape[axis:]) if sample else (*shape[:axis], *shape[axis + 1 :])

    def _answer_axes(self, bare: bool, sample: bool) -> tuple[int | None, ...] | None:
        axes = tuple(output.batch_axis for output in self._spec.outputs)
        if bare:
            return axes if sample and not self._spec.batched else None
        moved = any(spec.batch_axis for spec in (*self._row_inputs, *self._spec.outputs))
        return axes if moved else None

    def _queue(self, padded: tuple[Shape, ...], shared: tuple[Array, ...]) -> tuple[QueueT, Layout]:
        key = (padded, tuple(map(fingerprint, shared)))
        known = self._queues.get(key)
        if known is None:
            fills = tuple(None if pad is None else (pad.axis, pad.value) for pad in self._pads)
            size = sum(array.nbytes for array in shared)
            if self._kept + size > MAX_SHARED_BYTES:
                self._forget()
            self._kept += size
            kept = list(zip(self._spec.shared_inputs, map(own, shared), strict=True))
            values = tuple(tuple(map(int, array.ravel())) for spec, array in kept if spec.host)
            arrays = tuple(array for spec, array in kept if not spec.host)
            layout = Layout(padded, fills, values, arrays)
            known = self._queues[key] = (self._make_queue(layout), layout)
        return known

    def _rows(self, shapes: tuple[Shape, ...]) -> tuple[bool, int]:
        """(the batch axis was left out, rows), judged by rank."""
        counted: list[tuple[TensorSpec, Shape]] = []
        for spec, shape in zip(self._row_inputs, shapes, strict=True):
            allowed = (0,) if spec.batch_axis is None else (0, 1)
            if len(spec.shape) - len(shape) not in allowed:
                raise InvalidInput(
                    f"input {spec} got shape {shape}: {_rank_help(spec, allowed)}",
                    name=spec.name,
                    expected=spec.shape,
                    got=shape,
                )
            if spec.batch_axis is not None:
                counted.append((spec, shape))
        missing = {len(spec.shape) - len(shape) for spec, shape in counted}
        if len(missing) > 1:
            raise InvalidInput(
                f"some inputs came with a batch axis and some without: {_pairs(counted)}. "
                "Give it to all of them or to none."
            )
        if not missing or missing == {1} or not self._spec.batched:
            return missing == {1}, 1
        counts = {shape[spec.batch_axis or 0] for spec, shape in counted}
        if len(counts) > 1 or 0 in counts:
            raise InvalidInput(
                f"the batch axis must be equal in all inputs and at least 1: {_pairs(counted)}.",
                got=sorted(counts),
            )
        return False, counts.pop()

    def _check_dims(self, lengths: tuple[Shape, ...]) -> None:
        """What the file fixes, and what padding needs to be equal. All else the runtime judges."""
        padded: dict[str, tuple[int, str]] = {}
        for spec, shape, pad in zip(self._row_inputs, lengths, self._pads, strict=True):
            for axis, (want, got) in enumerate(zip(self._spec.row_dims(spec), shape, strict=True)):
                if isinstance(want, int) and want != got:
                    of = "a row" if self._spec.batched else "it"
                    raise InvalidInput(
                        f"input {spec} got {'rows of ' if self._spec.batched else ''}shape "
                        f"{shape}: axis {axis} of {of} must be {want}, not {got}.",
                        name=spec.name,
                        axis=self._spec.full_axis(spec, axis),
                        expected=want,
                        got=got,
                    )
                if pad is not None and axis == pad.axis and isinstance(want, str):
                    known, owner = padded.setdefault(want, (got, spec.name))
                    if known != got and not is_anonymous(want):
                        raise InvalidInput(
                            f"axis '{want}' is {known} in input '{owner}' "
                            f"but {got} in input '{spec.name}'; they must be equal to be padded.",
                            name=spec.name,
                            axis=self._spec.full_axis(spec, axis),
                            expected=known,
                            got=got,
                        )


def _padded(spec: TensorSpec, shape: Shape, pad: RowPad | None) -> Shape:
    return shape if pad is None else pad.apply(spec, shape)


def _rows_first(array: Array, axis: int | None) -> Array:
    return np.moveaxis(array, axis, 0) if axis else array


def _with_axis(array: Array, axis: int | None) -> Array:
    """One row as the model takes it."""
    return array if axis is None else np.expand_dims(array, axis)


def _fits(spec: TensorSpec, shape: Shape) -> bool:
    return len(shape) == len(spec.shape) and all(
        dim == length for dim, length in zip(spec.shape, shape, strict=True) if isinstance(dim, int)
    )


def _rank_help(spec: TensorSpec, allowed: tuple[int, ...]) -> str:
    rank = len(spec.shape)
    if not spec.shape:
        return (
            "only a scalar (shape ()) is taken here. If the model declares no rank for this input, "
            "give it one when exporting: the runtime reports a scalar and an unknown rank alike."
        )
    if len(allowed) == 1:
        return f"rank {rank} is needed (it has no batch axis)."
    return f"rank {rank} (rows) or rank {rank - 1} (one row, no batch axis) is needed."


def _pairs(counted: Sequence[tuple[TensorSpec, Shape]]) -> str:
    return ", ".join(f"{spec.name} {shape}" for spec, shape in counted)
