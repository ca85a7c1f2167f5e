"""The seam between the engine and what runs a model.

A backend is one opened model. It has lanes (on a GPU: CUDA streams with their execution contexts;
on a CPU: worker threads), and every lane runs batches that were formed in slots. The protocols say
the types; the promises that types cannot say are the tests of `tests/runtimes/backend_contract.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trtasync.errors import InvalidInput
from trtasync.memory.slots import Views
from trtasync.memory.staging import Copies
from trtasync.model.profiles import Shape
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.requests.signature import Array, Layout
from trtasync.rows import Trial

Times = tuple[float, float, float]
"""Seconds one batch spent on its lane: copy in, compute, copy out (0.0 where there is no such
stage). A bare tuple: one is made per batch."""


class Slot(Protocol):
    """The memory of one batch; see `trtasync.memory.slots.HostSlot`, which most backends use."""

    lane: int | None
    """Index of the lane it belongs to; None: any lane runs it."""
    outputs: list[Array]
    """What the last run gave, rows first."""
    batch: object
    """The batch it is turned to; set by who binds it."""
    holds_more: bool
    """It holds memory that `let_go` may give up."""

    @property
    def views(self) -> Views | None:
        """Of the layout that it is turned to."""

    @property
    def copies(self) -> Copies | None:
        """Copies of rows that are on their way; None where the caller makes them all."""

    def bind(self, layout: Layout) -> Views:
        """Turn the empty slot to a `layout` and give the views that stage rows into it."""

    def let_go(self) -> bool:
        """The batch has ended and its answers are out: forget arrays of callers. True if it holds
        so much that `shrink` is worth it when the engine is idle."""

    def shrink(self) -> None:
        """Give back what grew with the rows of batches; only where `let_go` gave True."""

    def keep_on_device(self, row: int, rows: int, arrays: Sequence[Any], offset: int) -> None:
        """The outputs of rows `row` to `row + rows` go to rows `offset` on of `arrays` (of
        `Backend.device_outputs`) too. Only for backends that make such."""

    def lend(self, count: int, returned: Callable[[Any], None]) -> None:
        """`count` answers are views of `outputs`; `returned` gets the slot when all came back."""

    def take_back(self) -> None:
        """One of them came back. From any thread."""

    def move(self, source: int, target: int, count: int) -> None:
        """Move `count` staged rows from `source` down to `target`."""

    def save(self, start: int, stop: int) -> list[Array]:
        """Copies of rows `start` to `stop`, for `restore`."""

    def restore(self, start: int, saved: list[Array]) -> None:
        """Put rows that were `saved` back from row `start`."""

    def pad(self, rows: int, run_rows: int) -> None:
        """Make rows `rows` to `run_rows` valid inputs whose outputs nobody reads."""


class Lane(Protocol):
    """One queue of work.

    `launch` and `ready` are called by the event loop's thread, `wait` by it or the lane's worker.
    While the worker runs a failed batch again, it alone calls `launch`. On a lane of depth 1 no two
    calls ever overlap; on a deeper one `wait` may overlap the `launch` of another batch.
    """

    device: int
    """Lanes of one device share it: the policy's 'idle' is said of a device."""
    depth: int
    """Batches that may be in flight at once."""
    asynchronous: bool
    """Work goes on by itself after `launch` (a GPU), so `ready` can be polled. Otherwise the run
    happens inside `wait`, in the thread that calls it."""

    def launch(self, slot: Slot, rows: int) -> None:
        """Start a batch: the first `rows` rows of `slot`. Returns at once.

        Raises:
            InferenceError: the batch was refused; the lane is usable.
            DeviceLost: the lane is not usable any more.
        """

    def ready(self, slot: Slot) -> bool:
        """True when `wait` would not block for `slot`. Asked only of asynchronous lanes."""

    def wait(self, slot: Slot) -> Times | None:
        """Block until the batch in `slot` is done; its outputs are in `slot.outputs` then.

        Returns its times, or None when this batch was not measured.

        Raises:
            InferenceError: the batch failed; the lane is usable.
            DeviceLost: the lane is not usable any more.
        """

    def close(self) -> None:
        """Free what the lane holds. Called once, when nothing is in flight on it."""


class Backend(Protocol):
    """One opened model."""

    name: str
    spec: ModelSpec
    """What the model says of itself; `use` changes it."""
    default_batch_size: int
    """`max_batch_size` when the user gives none."""
    largest_batch_size: int | None
    """What the model allows at most; None is any size."""
    default_streams: int
    """Lanes when the user gives no `streams`."""

    @property
    def possible_batch_sizes(self) -> Sequence[int] | None:
        """The numbers of rows that the model takes, of rows as `trial` declares them; None for any.
        May change with `use`."""

    @property
    def lends_outputs(self) -> bool:
        """`Slot.outputs` is memory of the slot (copied before the slot is used again), not fresh.
        May change with `use`."""

    def default_batch_sizes(self, largest: int) -> tuple[int, ...]:
        """The only batch sizes run when the user gives none; () for any size up to `largest`."""

    def trial(self) -> Trial | None:
        """The model, to be run on whole arrays before `open`; None where its spec is to be taken
        at its word."""

    def use(self, spec: ModelSpec) -> None:
        """Go by `spec` from now on: the same tensors, with what was found of their rows.
        Called before `open`."""

    def admit(self, layout: Layout) -> None:
        """Refuse (InvalidInput) a `layout` that the model's profiles do not allow."""

    def adopt(self, spec: TensorSpec, value: Any) -> Any:
        """What slots can stage of an array on a device of this backend; None for any other.

        Args:
            spec: the input that it is for.
            value: whatever the caller gave.
        """

    def empty_input(self, shape: Shape, dtype: np.dtype[Any]) -> Array:
        """An array for a request, in the memory that this backend reads best. From any thread.

        Args:
            shape: of the whole array, batch axis included.
            dtype: of the input.
        """

    def register(self, memory: Array) -> Array:
        """Let this backend read memory of others (a shared engine's client) as its own.

        From any thread. It ends when the last view of what is returned is gone.

        Args:
            memory: bytes; mapped whole pages.

        Returns:
            the same memory, to make the views of that go into requests.

        Raises:
            CudaError: there is not so much memory to lock.
        """

    def device_outputs(self, layout: Layout, rows: int) -> Sequence[Any]:
        """Device arrays for a request's answer, one per output.

        They are handed to `Slot.keep_on_device` for every batch that holds rows of the request.

        Args:
            layout: of the request's rows.
            rows: how many it has.

        Raises:
            InvalidInput: this backend cannot, or not for this layout.
        """

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int]
    ) -> Sequence["OpenLane"]:
        """Make the lanes and their slots. Called once, off the event loop.

        Args:
            streams: lanes (per device).
            max_batch_size: rows of a slot.
            batch_sizes: the only sizes that will be run; () for any.
        """

    def close(self) -> None:
        """Free the model. Called once, after every lane was closed."""


class HostMemoryBackend:
    """What backends have in common whose models run on host memory."""

    spec: ModelSpec
    possible_batch_sizes: Sequence[int] | None = None

    def trial(self) -> Trial | None:
        """Its spec is taken at its word."""
        return None

    def use(self, spec: ModelSpec) -> None:
        """See `Backend.use`."""
        self.spec = spec

    def default_batch_sizes(self, largest: int) -> tuple[int, ...]:
        """Any size runs; see `Backend.default_batch_sizes`."""
        return ()

    def adopt(self, spec: TensorSpec, value: Any) -> Any:
        """Host arrays only; see `Backend.adopt`."""
        return None

    def empty_input(self, shape: Shape, dtype: np.dtype[Any]) -> Array:
        """An ordinary array; see `Backend.empty_input`."""
        return np.empty(shape, dtype)

    def register(self, memory: Array) -> Array:
        """Whatever a process has mapped is read alike; see `Backend.register`."""
        return memory

    def device_outputs(self, layout: Layout, rows: int) -> Sequence[Any]:
        """Answers are in host memory; see `Backend.device_outputs`.

        Raises:
            InvalidInput: always.
        """
        raise InvalidInput(
            "outputs='device' needs a GPU; this engine runs on the CPU, leave outputs= out."
        )


@dataclass(frozen=True, slots=True)
class OpenLane:
    """A lane and the slots it brings along.

    Attributes:
        lane: opened, idle.
        slots: empty; at least one.
    """

    lane: Lane
    slots: Sequence[Slot]
