"""One session that answers all requests: its trial, its slots, and where its outputs go."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from trtasync.errors import PlanError
from trtasync.memory.slots import HostSlot
from trtasync.model.arrays import Array
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.requests.signature import Layout
from trtasync.runtimes import HostMemoryBackend, OpenLane
from trtasync.runtimes.onnxruntime.lanes import (
    BoundLane,
    BoundSlot,
    FreshLane,
    byte_count,
    declared_outputs,
)
from trtasync.system.free_memory import free_memory

DEFAULT_BATCH_SIZE = 8
"""Batching gains little for convolutions on a CPU and lengthens every caller's wait."""

LEAST_SLOTS, MOST_SLOTS = 2, 16
"""Per lane. One running, one forming; a request that finds none waits in line and is staged later,
at up to twice the cost (64 callers, batches of 8: 16 us of CPU with two slots, 12 with eight)."""

SLOT_MEMORY = 8 << 20
"""Bytes of rows that a lane's slots may hold beyond the first two. The slot that was used last is
used first, so that few callers stay in the processor's cache, and 512 callers with rows of 12 KB
need not wait in line."""

UNKNOWN_LENGTH = 64
"""Stands for a length of a row that the file leaves open."""


class OnnxRuntimeBackend(HostMemoryBackend):
    """One session; see `trtasync.runtimes.Backend`."""

    name = "onnxruntime"
    default_batch_size = DEFAULT_BATCH_SIZE
    largest_batch_size: int | None = None
    default_streams = 1

    def __init__(self, runtime: Any, session: Any, spec: ModelSpec):
        self.spec = spec
        self._runtime = runtime
        self._session = session

    @property
    def lends_outputs(self) -> bool:
        """True if all rows of an output are declared to have the same shape: it is then in the
        slot.

        Not if an input is also an output: ONNX Runtime ignores what is bound to that.
        """
        spec = self.spec
        tensors = [*spec.inputs, *spec.outputs]
        dims = [spec.row_dims(output) for output in spec.outputs]
        return (
            spec.batched
            and not {each.name for each in spec.inputs} & {each.name for each in spec.outputs}
            and all(tensor.batch_axis == 0 and tensor.shape for tensor in tensors)
            and all(isinstance(dim, int) for row in dims for dim in row)
        )

    def admit(self, layout: Layout) -> None:
        """Accept any shape that fits the specs."""

    def trial(self) -> "SessionTrial":
        """A trial on the very session that will answer requests."""
        return SessionTrial(self._runtime, self._session, self.spec)

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        """Open `streams` lanes on one session, sharing their slots (host memory suits any lane)."""
        if self.lends_outputs:
            self._demand_room(max_batch_size)
        open_one = self._open_bound if self.lends_outputs else self._open_fresh
        try:
            return [open_one(max_batch_size) for _ in range(streams)]
        except MemoryError as error:
            raise PlanError(
                f"there is no memory for batches of {max_batch_size} rows ({error}); give a "
                "smaller max_batch_size, or fewer streams."
            ) from error

    def _demand_room(self, capacity: int) -> None:
        """Refuse outputs of absurd declared size before they are allocated."""
        free = free_memory()
        needed = sum(
            byte_count(shape, output) for shape, output in declared_outputs(self.spec, capacity)
        )
        if free is not None and needed > free:
            raise PlanError(
                f"there is no memory for batches of {capacity} rows: the model declares outputs "
                f"of {needed} bytes for one, and {free} are free; give a smaller max_batch_size, "
                "or export it with its true lengths."
            )

    def _open_bound(self, capacity: int) -> OpenLane:
        slots = [BoundSlot(self.spec, capacity) for _ in range(slot_count(self.spec, capacity))]
        return OpenLane(BoundLane(self._runtime, self._session, self.spec), slots)

    def _open_fresh(self, capacity: int) -> OpenLane:
        slots = [HostSlot(self.spec, capacity) for _ in range(slot_count(self.spec, capacity))]
        return OpenLane(FreshLane(self._runtime, self._session, self.spec), slots)

    def close(self) -> None:
        """Drop the session; its memory is freed with the last lane."""
        self._session = None


def slot_count(spec: ModelSpec, capacity: int) -> int:
    """Slots of a lane: as many as there may be batches of such rows waiting in the CPU cache.

    Args:
        spec: the model.
        capacity: rows of a slot.
    """
    if not spec.batched:
        return LEAST_SLOTS
    rows = [
        math.prod(dim if isinstance(dim, int) else UNKNOWN_LENGTH for dim in spec.row_dims(tensor))
        * tensor.dtype.itemsize
        for tensor in (*spec.row_inputs, *spec.outputs)
    ]
    return max(LEAST_SLOTS, min(MOST_SLOTS, SLOT_MEMORY // (capacity * max(1, sum(rows)))))


class SessionTrial:
    """A session run on whole arrays; see `trtasync.rows.Trial`."""

    def __init__(self, runtime: Any, session: Any, spec: ModelSpec):
        self.inputs: tuple[TensorSpec, ...] = spec.inputs
        self.outputs: tuple[TensorSpec, ...] = spec.outputs
        self._session = session
        self._names = [output.name for output in spec.outputs]
        self._options = runtime.RunOptions()
        self._options.log_severity_level = 4  # a refused input is an answer here, not worth logging

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """One run."""
        feed = {spec.name: array for spec, array in zip(self.inputs, arrays, strict=True)}
        results = self._session.run(self._names, feed, self._options)
        return [np.asarray(result) for result in results]

    def stop(self) -> None:
        """End the current run at its next node, and later ones at their first."""
        self._options.terminate = True

    def close(self) -> None:
        """Drop the session."""
        self._session = None
