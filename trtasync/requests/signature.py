"""What is known of a request from its shapes, and what requests of one batch have in common."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from trtasync.model.arrays import Array, Shape
from trtasync.requests.padding import OutputCut

Staged: TypeAlias = Array | tuple[Array, ...]
"""What slots are written from, rows first: an array, or one per row input where there are several.
Arrays on a device of the runtime are taken too (`Backend.adopt`)."""

QueueT = TypeVar("QueueT")


class Layout:
    """The shape of one row of a batch: what all requests of a queue have in common.

    Attributes:
        shapes: per row input, the (padded) shape of one row, without the batch axis; of a request
            that runs alone, of the whole array.
        fills: per row input, (axis within the row, value) where it is padded, else None.
        values: per shape tensor, its values.
        shared: per other shared input, the array; read-only.
    """

    __slots__ = ("fills", "shapes", "shared", "values")

    def __init__(
        self,
        shapes: tuple[Shape, ...],
        fills: tuple[tuple[int, float] | None, ...],
        values: tuple[Shape, ...] = (),
        shared: tuple[Array, ...] = (),
    ):
        self.shapes: tuple[Shape, ...] = shapes
        self.fills: tuple[tuple[int, float] | None, ...] = fills
        self.values: tuple[Shape, ...] = values
        self.shared: tuple[Array, ...] = shared

    def __repr__(self) -> str:
        return f"Layout({', '.join(map(str, self.shapes))})"


class Signature(Generic[QueueT]):
    """All that is known of a request from its shapes.

    Attributes:
        queue: where such requests wait (made once per layout).
        layout: of the rows.
        rows: rows of the batch; 1 for a request that runs alone.
        bare: the answer is one row of the slot's outputs, not several behind one another: the
            caller left the batch axis out, or runs alone.
        single: the caller gave one array, so a single output comes back as one array.
        cuts: output index -> how the padding is cut off.
        axes: per output, where the rows' axis goes in the answer; None where it is first anyway.
            For a bare answer: an axis of length 1 that the model gives and the caller left out.
        content: per row input, shape (rows first, without padding) and dtype.
        plain: bare, one array, nothing to cut or to move.
        lies_as_given: its rows lie in a slot as the caller gives them: nothing is padded or moved.
    """

    __slots__ = (
        "axes",
        "bare",
        "content",
        "cuts",
        "layout",
        "lies_as_given",
        "plain",
        "queue",
        "rows",
        "single",
    )

    def __init__(
        self,
        queue: QueueT,
        layout: Layout,
        rows: int,
        bare: bool,
        single: bool,
        cuts: Mapping[int, OutputCut],
        axes: tuple[int | None, ...] | None,
        content: Sequence[tuple[Shape, np.dtype[Any]]],
    ):
        self.queue: QueueT = queue
        self.layout: Layout = layout
        self.rows: int = rows
        self.bare: bool = bare
        self.single: bool = single
        self.cuts: Mapping[int, OutputCut] = cuts
        self.axes: tuple[int | None, ...] | None = axes
        self.content: Sequence[tuple[Shape, np.dtype[Any]]] = content
        self.plain: bool = bare and single and not cuts and axes is None
        self.lies_as_given: bool = axes is None and not any(layout.fills)

    def blank(self) -> Staged:
        """Memory for the content of one such request."""
        arrays = tuple(np.empty(shape, dtype) for shape, dtype in self.content)
        return arrays[0] if len(arrays) == 1 else arrays
