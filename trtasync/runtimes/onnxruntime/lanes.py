"""Lanes that run a session, over whole slots or into outputs that the runtime allocates."""

import math
from functools import partial
from time import perf_counter
from typing import Any

from trtasync.errors import InferenceError
from trtasync.memory.slots import HostSlot, Views
from trtasync.model.arrays import Array
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.runtimes import Lane, Slot, Times
from trtasync.runtimes.arrange import Arrangement

MAX_BINDINGS = 256
"""Bindings kept per slot and layout (one per batch size)."""


class _CpuLane:
    """The run happens in `wait`, in the calling thread, with the GIL released."""

    device = 0
    depth = 1
    asynchronous = False

    def __init__(self, runtime: Any, session: Any, spec: ModelSpec):
        self._session = session
        self._spec = spec
        self._rows = 0
        self._new_options = partial(_new_options, runtime)
        self._options = self._new_options()

    def launch(self, slot: Slot, rows: int) -> None:
        self._rows = rows

    def ready(self, slot: Slot) -> bool:
        return False

    def wait(self, slot: Slot) -> Times:
        begin = perf_counter()
        try:
            self._run(slot, self._rows)
        except InferenceError:
            raise
        except Exception as error:  # the runtime's exceptions share no base class
            raise InferenceError(f"ONNX Runtime failed on this request: {error}") from error
        return 0.0, perf_counter() - begin, 0.0

    def _run(self, slot: Any, rows: int) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        # later runs have other options: the flag may be set when this one has just ended
        options, self._options = self._options, self._new_options()
        options.terminate = True

    def close(self) -> None:
        self._session = None


def _new_options(runtime: Any) -> Any:
    """Options of a run, with one set to its default that ONNX Runtime 1.32 looks up in every run of
    a binding: if it is missing, a C++ exception is thrown and caught, which takes 70 us."""
    options = runtime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", "0")
    return options


class FreshLane(_CpuLane):
    """The runtime allocates the outputs: their shapes, or some of their axes, are not known."""

    def __init__(self, runtime: Any, session: Any, spec: ModelSpec):
        super().__init__(runtime, session, spec)
        self._arrangement = Arrangement(spec)
        self._outputs = [output.name for output in spec.outputs]

    def _run(self, slot: Any, rows: int) -> None:
        cache = slot.views.cache
        feed = cache.get(rows)
        if feed is None:
            if len(cache) >= MAX_BINDINGS:
                cache.clear()
            feed = cache[rows] = self._feed(slot.views, rows)
        results = self._session.run(self._outputs, feed, self._options)
        slot.outputs = self._arrangement.outputs(results, rows)

    def _feed(self, views: Views, rows: int) -> dict[str, Array]:
        arrays = self._arrangement.inputs(views, rows)
        return {spec.name: array for spec, array in zip(self._spec.inputs, arrays, strict=True)}


class BoundSlot(HostSlot):
    """A slot with output buffers, for models whose output rows have a fixed shape."""

    def __init__(self, spec: ModelSpec, capacity: int):
        super().__init__(spec, capacity)
        self.holds_more = False  # outputs are its own
        self.results: list[Array] = []
        for shape, output in declared_outputs(spec, capacity):
            memory = self.allocate(byte_count(shape, output))
            self.results.append(memory.view(output.dtype).reshape(shape))


def declared_outputs(spec: ModelSpec, capacity: int) -> list[tuple[tuple[int, ...], TensorSpec]]:
    """Declared shapes of a slot's outputs, rows first."""
    return [
        ((capacity, *(int(dim or 0) for dim in output.shape[1:])), output)
        for output in spec.outputs
    ]


def byte_count(shape: tuple[int, ...], tensor: TensorSpec) -> int:
    return math.prod(shape) * tensor.dtype.itemsize


class BoundLane(FreshLane):
    """Runs over slot memory in place: inputs and outputs are bound once per batch size.

    The outputs' shapes are what the file declares. If that is wrong, the runtime allocates them
    after all.
    """

    _trusted = True

    def _run(self, slot: Any, rows: int) -> None:
        if not self._trusted:
            self._run_unbound(slot, rows)
            return
        cache = slot.views.cache
        bound = cache.get(rows)
        if bound is None:
            if len(cache) >= MAX_BINDINGS:
                cache.clear()
            bound = cache[rows] = self._bind(slot, rows)
        binding, slot.outputs = bound
        options = self._options
        try:
            self._session.run_with_iobinding(binding, options)
        except Exception:  # raised again if it was not the binding that made the run fail
            if options is not self._options:
                raise  # it was stopped
            declared = [array.shape for array in slot.outputs]
            self._run_unbound(slot, rows)
            self._trusted = [array.shape for array in slot.outputs] == declared

    def _run_unbound(self, slot: Any, rows: int) -> None:
        feed = self._feed(slot.views, rows)
        results = self._session.run(self._outputs, feed, self._options)
        slot.outputs = self._arrangement.outputs(results, rows)
        slot.holds_more = True

    def _bind(self, slot: BoundSlot, rows: int) -> tuple[Any, list[Array]]:
        binding = self._session.io_binding()
        views = slot.views
        assert views is not None
        for spec, array in zip(self._spec.inputs, views.inputs, strict=True):
            part = array[:rows]
            binding.bind_input(spec.name, "cpu", 0, spec.dtype.type, part.shape, part.ctypes.data)
        outputs = [array[:rows] for array in slot.results]
        for spec, part in zip(self._spec.outputs, outputs, strict=True):
            binding.bind_output(spec.name, "cpu", 0, spec.dtype.type, part.shape, part.ctypes.data)
        return binding, outputs


def _is_lane(lane: _CpuLane) -> Lane:
    return lane  # mypy checks the protocol here
