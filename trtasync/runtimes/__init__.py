"""The interface between the engine and the runtimes that run a model.

A backend is one opened model. It has lanes (on a GPU: CUDA streams with their execution contexts;
on a CPU: worker threads), and every lane runs batches that were formed in slots. The protocols
define the types; `tests/runtimes/backend_contract.py` tests what types cannot express.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trtasync.errors import InvalidInput
from trtasync.memory.slots import Views
from trtasync.memory.staging import Copies
from trtasync.model.arrays import Array, Shape
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.requests.signature import Layout
from trtasync.rows import Trial

Times = tuple[float, float, float]
"""Seconds that a batch spent on its lane: copy in, compute, copy out (0.0 if there is no such
stage). A plain tuple, because one is made per batch."""


class Slot(Protocol):
    """The memory of one batch; see `trtasync.memory.slots.HostSlot`, which most backends use."""

    lane: int | None
    """Index of the lane it belongs to; None if any lane can run it."""
    outputs: list[Array]
    """The outputs of the last run, rows first."""
    batch: object
    """The batch it is bound to; set by the code that binds it."""
    holds_more: bool
    """It holds memory that `let_go` may free."""

    @property
    def views(self) -> Views | None:
        """The views of the layout that it is bound to."""

    @property
    def copies(self) -> Copies | None:
        """Copies of rows in progress; None if all copies are made by the caller."""

    def bind(self, layout: Layout) -> Views:
        """Bind the empty slot to a `layout` and return the views through which rows are staged."""

    def let_go(self) -> bool:
        """Release callers' arrays after the batch has ended and its answers are out. Returns True
        if the slot holds so much that `shrink` is worthwhile once the engine is idle."""

    def shrink(self) -> None:
        """Free the memory that grew with batches; called only after `let_go` returned True."""

    def keep_on_device(self, row: int, rows: int, arrays: Sequence[Any], offset: int) -> None:
        """Also copy the outputs of rows `row` to `row + rows` into `arrays` (made by
        `Backend.device_outputs`) from row `offset` on."""

    def lend(self, count: int, returned: Callable[[Any], None]) -> None:
        """Lend `count` views of `outputs`; `returned` is called with the slot when all are back."""

    def take_back(self) -> None:
        """Take one of them back. Thread-safe."""

    def move(self, source: int, target: int, count: int) -> None:
        """Move `count` staged rows from `source` down to `target`."""

    def save(self, start: int, stop: int) -> list[Array]:
        """Copy the rows `start` to `stop`, for `restore`."""

    def restore(self, start: int, saved: list[Array]) -> None:
        """Write `saved` rows back, from row `start` on."""

    def pad(self, rows: int, run_rows: int) -> None:
        """Fill rows `rows` to `run_rows` with valid inputs whose outputs are not used."""


class Lane(Protocol):
    """A queue of batches.

    `launch` and `ready` are called by the event loop's thread, `wait` by it or the lane's worker.
    While the worker runs a failed batch again, only the worker calls `launch`. On a lane of depth 1
    calls never overlap; on a deeper one `wait` may overlap the `launch` of another batch.
    """

    device: int
    """Index of the device, which lanes may share; the policy considers whether it is idle."""
    depth: int
    """Batches that may be in flight at once."""
    asynchronous: bool
    """Whether a batch runs by itself after `launch` (on a GPU), so that `ready` can be polled.
    Otherwise it runs inside `wait`, in the thread that calls it."""

    def launch(self, slot: Slot, rows: int) -> None:
        """Start a batch: the first `rows` rows of `slot`. Returns at once.

        Raises:
            InferenceError: the batch was refused; the lane is usable.
            DeviceLost: the lane is no longer usable.
        """

    def ready(self, slot: Slot) -> bool:
        """Whether `wait` would not block for `slot`. Called only on asynchronous lanes."""

    def wait(self, slot: Slot) -> Times | None:
        """Block until the batch in `slot` is done and its outputs are in `slot.outputs`.

        Returns its times, or None if this batch was not measured.

        Raises:
            InferenceError: the batch failed; the lane is usable.
            DeviceLost: the lane is no longer usable.
        """

    def close(self) -> None:
        """Free the resources of the lane. Called once, when nothing is in flight on it."""


class Backend(Protocol):
    """One opened model."""

    name: str
    spec: ModelSpec
    """The spec of the model; `use` changes it."""
    default_batch_size: int
    """The default of `max_batch_size`."""
    largest_batch_size: int | None
    """The largest batch that the model allows; None for no limit."""
    default_streams: int
    """The default of `streams`."""

    @property
    def possible_batch_sizes(self) -> Sequence[int] | None:
        """The numbers of rows that the model accepts, for rows as in `trial`; None for any.
        May change with `use`."""

    @property
    def lends_outputs(self) -> bool:
        """Whether `Slot.outputs` is memory of the slot (copied before the slot is reused), not
        newly allocated. May change with `use`."""

    def default_batch_sizes(self, largest: int) -> tuple[int, ...]:
        """The default of `batch_sizes`; () for any size up to `largest`."""

    def trial(self) -> Trial | None:
        """A form of the model that runs on whole arrays before `open`; None if its spec is
        trusted."""

    def use(self, spec: ModelSpec) -> None:
        """Use `spec` from now on: the same tensors, with the findings on their rows. Called before
        `open`."""

    def admit(self, layout: Layout) -> None:
        """Raise InvalidInput for a `layout` that the model's profiles do not allow."""

    def adopt(self, spec: TensorSpec, value: Any) -> Any:
        """Convert an array on a device of this backend for staging; None for any other value.

        Args:
            spec: the input.
            value: the caller's value.
        """

    def empty_input(self, shape: Shape, dtype: np.dtype[Any]) -> Array:
        """Allocate an array for a request in the memory best for this backend. Thread-safe.

        Args:
            shape: the whole shape, including the batch axis.
            dtype: the dtype of the input.
        """

    def register(self, memory: Array) -> Array:
        """Let this backend read foreign memory (a shared engine's client's) like its own.

        Thread-safe. Ends when the last view of the result is gone.

        Args:
            memory: bytes; whole mapped pages.

        Returns:
            the same memory, from which to make the views that go into requests.

        Raises:
            CudaError: that much memory cannot be locked.
        """

    def device_outputs(self, layout: Layout, rows: int) -> Sequence[Any]:
        """Allocate device arrays for a request's answer, one per output.

        They are passed to `Slot.keep_on_device` for every batch with rows of the request.

        Args:
            layout: the layout of the request's rows.
            rows: their number.

        Raises:
            InvalidInput: not supported by this backend, or for this layout.
        """

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int]
    ) -> Sequence["OpenLane"]:
        """Create the lanes and their slots. Called once, off the event loop.

        Args:
            streams: number of lanes per device.
            max_batch_size: rows of a slot.
            batch_sizes: the only batch sizes that will be run; () for any.
        """

    def close(self) -> None:
        """Free the model. Called once, after all lanes have been closed."""


class HostMemoryBackend:
    """The common part of backends whose models run on host memory."""

    spec: ModelSpec
    possible_batch_sizes: Sequence[int] | None = None

    def trial(self) -> Trial | None:
        """None: its spec is trusted."""
        return None

    def use(self, spec: ModelSpec) -> None:
        """See `Backend.use`."""
        self.spec = spec

    def default_batch_sizes(self, largest: int) -> tuple[int, ...]:
        """Any size; see `Backend.default_batch_sizes`."""
        return ()

    def adopt(self, spec: TensorSpec, value: Any) -> Any:
        """Host arrays only; see `Backend.adopt`."""
        return None

    def empty_input(self, shape: Shape, dtype: np.dtype[Any]) -> Array:
        """An ordinary array; see `Backend.empty_input`."""
        return np.empty(shape, dtype)

    def register(self, memory: Array) -> Array:
        """Return it unchanged: all mapped memory is read alike; see `Backend.register`."""
        return memory

    def device_outputs(self, layout: Layout, rows: int) -> Sequence[Any]:
        """Answers are in host memory; see `Backend.device_outputs`.

        Raises:
            InvalidInput: always.
        """
        raise InvalidInput(
            "outputs='device' needs a GPU, but this engine runs on the CPU; leave outputs= out."
        )


@dataclass(frozen=True, slots=True)
class OpenLane:
    """A lane and its slots.

    Attributes:
        lane: an open, idle lane.
        slots: empty slots, at least one.
    """

    lane: Lane
    slots: Sequence[Slot]
