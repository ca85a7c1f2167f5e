"""What is known of a request from its shapes, and what requests of one batch have in common."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from trtasync.requests.padding import OutputCut

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


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
        self.shapes = shapes
        self.fills = fills
        self.values = values
        self.shared = shared

    def __repr__(self) -> str:
        return f"Layout({', '.join(map(str, self.shapes))})"


class Signature:
    """All that is known of a request from its shapes.

    Attributes:
        queue: what the batching core queues by (made once per layout).
        rows: rows of the batch; 1 for a request that runs alone.
        bare: the answer is one row of the slot's outputs, not several behind one another: the
            caller left the batch axis out, or runs alone.
        single: the caller gave one array, so a single output comes back as one array.
        cuts: output index -> how the padding is cut off.
        axes: per output, where the rows' axis goes in the answer; None where it is first anyway.
            For a bare answer: an axis of length 1 that the model gives and the caller left out.
        plain: bare, one array, nothing to cut or to move.
    """

    __slots__ = ("axes", "bare", "cuts", "plain", "queue", "rows", "single")

    def __init__(
        self,
        queue: Any,
        rows: int,
        bare: bool,
        single: bool,
        cuts: Mapping[int, OutputCut],
        axes: tuple[int | None, ...] | None = None,
    ):
        self.queue = queue
        self.rows = rows
        self.bare = bare
        self.single = single
        self.cuts = cuts
        self.axes = axes
        self.plain = bare and single and not cuts and axes is None
