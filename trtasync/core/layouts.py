"""Which layouts of rows an engine admits; each has a queue of its own."""

import math
from collections.abc import Callable

from trtasync.errors import InvalidInput
from trtasync.model.tensors import ModelSpec
from trtasync.requests.signature import Layout
from trtasync.runtimes import Backend
from trtasync.scheduler import Queue


def queue_maker(backend: Backend, max_row_bytes: int | None) -> Callable[[Layout], Queue]:
    """Return a function that admits a new layout and gives it a queue.

    Not a method: an engine that refers to itself would be freed only by the garbage collector.
    """

    def new_queue(layout: Layout) -> Queue:
        if max_row_bytes is not None:
            _check_size(backend.spec, layout, max_row_bytes)
        backend.admit(layout)
        return Queue()

    return new_queue


def _check_size(spec: ModelSpec, layout: Layout, limit: int) -> None:
    """Refuse rows of which a batch may not fit into memory, before the memory is allocated."""
    sizes = [
        math.prod(shape) * tensor.dtype.itemsize
        for tensor, shape in zip(spec.row_inputs, layout.shapes, strict=True)
    ]
    if sum(sizes) > limit:
        largest = spec.row_inputs[sizes.index(max(sizes))]
        raise InvalidInput(
            f"a {'row' if spec.batched else 'request'} of {sum(sizes)} bytes exceeds "
            f"max_row_bytes={limit} (by default limited by the memory free at opening), most of it "
            f"input '{largest.name}'; send less, raise max_row_bytes, or lower max_batch_size.",
            name=largest.name,
            expected=limit,
            got=sum(sizes),
        )
