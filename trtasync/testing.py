"""Public fakes: a backend that follows a test's script.

`ScriptedBackend` holds, fails or loses batches on command and remembers every row it computed. A
plain `FunctionBackend`, which is here as well, stands in for a model that just works.
"""

import threading
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from trtasync.errors import DeviceLost, InferenceError
from trtasync.model.arrays import Array
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.runtimes import OpenLane, Slot, Times
from trtasync.runtimes.function import Function, FunctionBackend, FunctionLane

__all__ = ["FunctionBackend", "Gate", "ScriptedBackend"]


class Gate:
    """Holds batches until a test lets them through. Thread-safe; open to begin with."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._passes: float = float("inf")
        self.arrived: int = 0
        """Batches that have reached the gate so far."""

    def shut(self) -> None:
        """Hold all batches."""
        with self._condition:
            self._passes = 0

    def let(self, batches: float = float("inf")) -> None:
        """Let this number of further `batches` through."""
        with self._condition:
            self._passes += batches
            self._condition.notify_all()

    def __call__(self) -> None:
        """Pass, or wait for permission."""
        with self._condition:
            self.arrived += 1
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._passes > 0)
            self._passes -= 1

    def wait_arrived(self, batches: int, timeout: float = 30.0) -> bool:
        """Block a thread of the test until this number of `batches` has arrived.

        Returns False if they did not arrive within `timeout` seconds.
        """
        with self._condition:
            return self._condition.wait_for(lambda: self.arrived >= batches, timeout)


class ScriptedBackend(FunctionBackend):
    """A model whose runs a test can hold, fail or lose.

    Attributes:
        gate: every run passes through it.
        computed: a copy of the first input of every run so far, that is, the computed rows.
        bad: a run fails if this is true for one of its rows (of the first input).
        lose: while true, a run loses its lane (DeviceLost).
        die: while true, a run kills its worker thread.
    """

    name = "scripted"

    def __init__(
        self,
        function: Function = lambda x: x,
        *,
        inputs: Sequence[TensorSpec] = (TensorSpec("x", np.dtype("float32"), ("N", 4)),),
        outputs: Sequence[TensorSpec] = (TensorSpec("y", np.dtype("float32"), ("N", 4)),),
        slots_per_lane: int = 2,
        asynchronous: bool = False,
        depth: int = 1,
        owned_slots: bool = False,
    ):
        """Start with the gate open and nothing bad.

        Args:
            function: as for `FunctionBackend`; its output is copied.
            inputs: the specs.
            outputs: the specs.
            slots_per_lane: batches that can form or run at once, per lane.
            asynchronous: lanes run by themselves after `launch`, like a GPU's.
            depth: batches in flight per lane.
            owned_slots: each slot belongs to one lane, as on a GPU.
        """
        super().__init__(function, inputs=inputs, outputs=outputs, slots_per_lane=slots_per_lane)
        self._run_function = function
        self._asynchronous = asynchronous
        self._depth = depth
        self._owned = owned_slots
        self.gate: Gate = Gate()
        self.computed: list[Array] = []
        self.bad: Callable[[Array], bool] = lambda row: False
        self.lose = False
        self.die = False
        self.lanes: list[FunctionLane] = []

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        """See `trtasync.runtimes.Backend.open`."""
        opened = super().open(streams, max_batch_size, batch_sizes)
        for index, lane in enumerate(opened):
            for slot in lane.slots:
                slot.lane = index if self._owned else None
        return opened

    def _lane(self, index: int) -> FunctionLane:
        kind = _AsynchronousLane if self._asynchronous else FunctionLane
        lane = kind(self._scripted, self.spec)
        lane.depth = self._depth
        self.lanes.append(lane)
        return lane

    def _scripted(self, *inputs: Array) -> Any:
        self.gate()
        if self.die:
            raise SystemExit("the script says that the thread dies")
        if self.lose:
            raise DeviceLost("the script says that the device is lost")
        self.computed.append(inputs[0].copy())
        if any(self.bad(row) for row in inputs[0]):
            raise InferenceError("the script says that a row of this batch is bad")
        result = self._run_function(*inputs)
        outputs = result if isinstance(result, (list, tuple)) else [result]
        return [np.array(output) for output in outputs]


class _AsynchronousLane(FunctionLane):
    """Runs each launched batch in a thread of its own, in order: a CUDA stream without a GPU."""

    asynchronous = True

    def __init__(self, function: Function, spec: ModelSpec):
        super().__init__(function, spec)
        self._done: dict[int, threading.Event] = {}
        self._results: dict[int, Any] = {}
        self._seconds: dict[int, float] = {}
        self._tail: threading.Thread | None = None

    def launch(self, slot: Any, rows: int) -> None:
        """Start the batch after those launched before it."""
        event = self._done[id(slot)] = threading.Event()
        before, inputs = self._tail, self._arrangement.inputs(slot.views, rows)

        def work() -> None:
            if before is not None:
                before.join()
            begin = perf_counter()
            try:
                outputs = self._arrangement.outputs(self._function(*inputs), rows)
                self._results[id(slot)] = outputs
            except BaseException as error:
                self._results[id(slot)] = error
            self._seconds[id(slot)] = perf_counter() - begin
            event.set()

        self._tail = threading.Thread(target=work, name="trtasync fake stream", daemon=True)
        self._tail.start()

    def ready(self, slot: Slot) -> bool:
        """True when the batch is done."""
        return self._done[id(slot)].is_set()

    def wait(self, slot: Slot) -> Times:
        """Wait for the batch."""
        self._done.pop(id(slot)).wait()
        result = self._results.pop(id(slot))
        if isinstance(result, BaseException):
            del self._seconds[id(slot)]
            raise result
        slot.outputs = result
        return 0.0, self._seconds.pop(id(slot)), 0.0

    def close(self) -> None:
        """Join the last thread."""
        super().close()
        if self._tail is not None:
            self._tail.join()
