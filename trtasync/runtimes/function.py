"""A function on numpy arrays as a model."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from trtasync.errors import DeviceLost, InferenceError
from trtasync.memory.slots import HostSlot
from trtasync.model.arrays import Array
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.requests.signature import Layout
from trtasync.runtimes import HostMemoryBackend, OpenLane, Slot, Times
from trtasync.runtimes.arrange import Arrangement

Function = Callable[..., Any]


class FunctionBackend(HostMemoryBackend):
    """A numpy function as a model: `function(*inputs)`, rows first, returns the output(s).

    The function gets views of slot memory, with the axes of the specs. Its results are copied
    unless they own their memory.
    """

    name = "function"
    lends_outputs = False
    largest_batch_size: int | None = None
    default_batch_size = 8
    default_streams = 1

    def __init__(
        self,
        function: Function,
        *,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        slots_per_lane: int = 2,
    ):
        """Wrap a function.

        Args:
            function: gets one array per input and returns one array, or a sequence of them.
            inputs: the specs, whose batch axes are trusted: whether rows are independent is not
                checked.
            outputs: the specs.
            slots_per_lane: batches that can form or run at the same time, per lane.
        """
        self.spec: ModelSpec = ModelSpec.from_tensors(inputs, outputs)
        self._function = function
        self._slots_per_lane = slots_per_lane
        self.closed: int = 0

    def admit(self, layout: Layout) -> None:
        """Accept every `layout` that fits the specs."""

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        """See `trtasync.runtimes.Backend.open`."""
        return [
            OpenLane(
                self._lane(index),
                [HostSlot(self.spec, max_batch_size) for _ in range(self._slots_per_lane)],
            )
            for index in range(streams)
        ]

    def _lane(self, index: int) -> "FunctionLane":
        return FunctionLane(self._function, self.spec)

    def close(self) -> None:
        """Count the call, for tests."""
        self.closed += 1


class FunctionLane:
    """A lane that calls a function in `wait`."""

    device = 0
    depth = 1
    asynchronous = False

    def __init__(self, function: Function, spec: ModelSpec):
        self._function = function
        self._arrangement = Arrangement(spec)
        self._expected = len(spec.outputs)
        self._rows = 0
        self.closed: int = 0

    def launch(self, slot: Slot, rows: int) -> None:
        """Remember how many rows to run."""
        self._rows = rows

    def ready(self, slot: Slot) -> bool:
        """Always false: the work is done in `wait`."""
        return False

    def wait(self, slot: Any) -> Times:
        """Call the function."""
        begin = perf_counter()
        rows, cache = self._rows, slot.views.cache
        try:
            inputs = cache.get(rows)
            if inputs is None:
                inputs = cache[rows] = self._arrangement.inputs(slot.views, rows)
            result = self._function(*inputs)
            is_sole = self._expected == 1 and type(result) is np.ndarray and result.base is None
            given = [result] if is_sole else self._read(result)
            slot.outputs = self._arrangement.outputs(given, rows)
        except (InferenceError, DeviceLost):
            raise
        except Exception as error:  # the user's function may raise anything
            raise InferenceError(f"the model function failed: {error!r}") from error
        return 0.0, perf_counter() - begin, 0.0

    def _read(self, result: Any) -> list[Array]:
        results = result if isinstance(result, (list, tuple)) else [result]
        if len(results) != self._expected:
            raise InferenceError(
                f"the model function returned {len(results)} values for {self._expected} outputs."
            )
        outputs = map(np.asarray, results)
        return [output if output.base is None else output.copy() for output in outputs]

    def close(self) -> None:
        """Count the call, for tests."""
        self.closed += 1
