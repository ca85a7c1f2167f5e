"""The embedded default: ONNX Runtime's CPU provider. One session, N lanes, batches in slots.

Facts behind the choices (all measured, see docs/onnxruntime.md):
one session is shared by all lanes, because further sessions add their weights and gain nothing;
spinning worker threads are switched off, because they burn a core beside an idle engine;
telemetry is switched off, because it starts a thread and opens a database at import.
"""

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from trtasync.errors import BackendUnavailable, InferenceError, InvalidInput, PlanError
from trtasync.memory.slots import HostSlot, Views
from trtasync.model.tensors import Dim, ModelSpec, TensorSpec
from trtasync.requests.signature import Array, Layout
from trtasync.runtimes import HostMemoryBackend, Lane, OpenLane, Slot, Times
from trtasync.runtimes.arrange import Arrangement
from trtasync.system.cores import cores
from trtasync.system.free_memory import free_memory
from trtasync.system.free_threads import free_threads

log: logging.Logger = logging.getLogger("trtasync")

DEFAULT_BATCH_SIZE = 8
"""Batching gains little for convolutions on a CPU and lengthens every caller's wait."""

LEAST_SLOTS, MOST_SLOTS = 2, 16
"""Per lane. One running, one forming; a request that finds none waits in line and is staged later,
at up to twice the cost (64 callers, batches of 8: 16 us of CPU with two slots, 12 with eight)."""

SLOT_MEMORY = 2 << 20
"""Bytes of rows that a lane's slots may hold beyond the first two. More fall out of the processor's
cache between being staged and being run: that costs what the line saves."""

UNKNOWN_LENGTH = 64
"""Stands for a length of a row that the file leaves open."""

MOST_THREADS = 4096
"""Of a run: no machine has more cores, and each takes memory."""

MAX_BINDINGS = 256
"""Bindings kept per slot and layout (one per batch size)."""

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    **{
        f"tensor({kind}{bits})": f"{kind}{bits}"
        for kind in ("int", "uint")
        for bits in (8, 16, 32, 64)
    },
}

_WITHOUT_NUMPY = (
    "tensor(bfloat16",
    "tensor(float8",
    "tensor(float4",
    "tensor(int4",
    "tensor(uint4",
)
"""Numbers all the same."""


def load(model: Path | bytes, threads: int) -> "OnnxRuntimeBackend":
    """Open an ONNX model.

    Args:
        model: the file, external weights are found beside it; or what it holds.
        threads: threads per run, the calling one included; 0 for one per core.

    Raises:
        BackendUnavailable: onnxruntime is not installed.
        InvalidInput: there are too many threads, or they could not all be started.
        PlanError: the file cannot be read, or has inputs or outputs that are no numeric tensors.
    """
    runtime = _import_runtime()
    _demand_threads(threads or cores())
    if isinstance(model, Path) and not os.path.isfile(model):
        raise PlanError(f"{model} is no file; give the path of an .onnx model.")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # errors come as exceptions; do not print them as well
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        given = model if isinstance(model, bytes) else str(model)
        session = runtime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        inputs = [_spec(node, "input") for node in session.get_inputs()]
        outputs = [_spec(node, "output") for node in session.get_outputs()]
    except PlanError:
        raise
    except Exception as error:  # the runtime's exceptions share no base class
        shown = f"these {len(model)} bytes" if isinstance(model, bytes) else model
        raise PlanError(f"ONNX Runtime cannot read {shown}: {error}") from error
    return OnnxRuntimeBackend(runtime, session, ModelSpec.from_tensors(inputs, outputs))


def _demand_threads(threads: int) -> None:
    """Refuse what the system would: ONNX Runtime waits for ever for a thread that never starts."""
    free = free_threads()
    most = MOST_THREADS if free is None else min(MOST_THREADS, 1 + free)  # one is the caller's
    if threads > most:
        short = (
            ""
            if most == MOST_THREADS
            else (
                ", for the system lets this process start no more; raise its limit (ulimit -v, "
                "ulimit -u, pids.max), or give fewer"
            )
        )
        raise InvalidInput(
            f"threads must be {most} at most, not {threads}{short}.",
            name="threads",
            expected=most,
            got=threads,
        )


def _import_runtime() -> Any:
    """Import onnxruntime with its telemetry off: the variable counts at the first import only."""
    name = "ORT_DISABLE_TELEMETRY"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(
            f"the CPU backend needs onnxruntime: pip install 'trtasync[cpu]' ({error})."
        ) from error
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
    onnxruntime.disable_telemetry_events()  # when somebody else had imported it already
    return onnxruntime


def _spec(node: Any, role: str) -> TensorSpec:
    dtype = _DTYPES.get(node.type)
    if dtype is None and node.type.startswith(_WITHOUT_NUMPY):
        raise PlanError(
            f"{role} '{node.name}' is a {node.type}, which ONNX Runtime does not exchange with "
            "numpy. Cast it inside the model, to float32 or to a whole byte (a Cast node there), "
            "or run the model on TensorRT."
        )
    if dtype is None:
        raise PlanError(
            f"{role} '{node.name}' is a {node.type}; only numeric and bool tensors can be batched "
            "on the CPU backend. Convert it inside the model (a classifier exported by skl2onnx: "
            "zipmap=False), or leave it out of the graph's outputs."
        )
    return TensorSpec(node.name, np.dtype(dtype), tuple(map(_dim, node.shape)))


def _dim(dim: int | str | None) -> Dim:
    """Inferred lengths may be 0 or negative: that is, not known."""
    return None if isinstance(dim, int) and dim <= 0 else dim or None


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
        """Where every row of an output is declared to have one shape, outputs lie in the slot.

        Not where an input is an output as well: ONNX Runtime leaves what is bound to that alone.
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
        """Any shape that fits the specs may run."""

    def trial(self) -> "SessionTrial":
        """Runs on the very session that will answer requests."""
        return SessionTrial(self._runtime, self._session, self.spec)

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        """`streams` lanes on one session, sharing their slots (host memory suits any lane)."""
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
        needed = sum(_bytes(shape, output) for shape, output in _results(self.spec, capacity))
        if free is not None and needed > free:
            raise PlanError(
                f"there is no memory for batches of {capacity} rows: the model declares outputs "
                f"of {needed} bytes for one, and {free} are free; give a smaller max_batch_size, "
                "or export it with the lengths that it has."
            )

    def _open_bound(self, capacity: int) -> OpenLane:
        slots = [_BoundSlot(self.spec, capacity) for _ in range(slot_count(self.spec, capacity))]
        return OpenLane(_BoundLane(self._runtime, self._session, self.spec), slots)

    def _open_fresh(self, capacity: int) -> OpenLane:
        slots = [HostSlot(self.spec, capacity) for _ in range(slot_count(self.spec, capacity))]
        return OpenLane(_FreshLane(self._runtime, self._session, self.spec), slots)

    def close(self) -> None:
        """Drop the session; its memory goes with the last lane."""
        self._session = None


def slot_count(spec: ModelSpec, capacity: int) -> int:
    """Slots of a lane: as many as batches of such rows may wait in the cache.

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
        self._options.log_severity_level = 4  # a refused input is an answer here, not news

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """One run."""
        feed = {spec.name: array for spec, array in zip(self.inputs, arrays, strict=True)}
        results = self._session.run(self._names, feed, self._options)
        return [np.asarray(result) for result in results]

    def stop(self) -> None:
        """The run under way ends at its next node; later ones at their first."""
        self._options.terminate = True

    def close(self) -> None:
        """Let the session go."""
        self._session = None


class _CpuLane:
    """The run happens in `wait`, in the calling thread, with the GIL released."""

    device = 0
    depth = 1
    asynchronous = False

    def __init__(self, runtime: Any, session: Any, spec: ModelSpec):
        self._session = session
        self._spec = spec
        self._rows = 0
        self._new_options = runtime.RunOptions
        self._options = runtime.RunOptions()

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
        # later runs have others: the flag may come when this one has just ended
        options, self._options = self._options, self._new_options()
        options.terminate = True

    def close(self) -> None:
        self._session = None


class _FreshLane(_CpuLane):
    """The runtime allocates the outputs: their shapes are not known, or not along one axis."""

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


class _BoundSlot(HostSlot):
    """A slot with output buffers, for models whose output rows have a fixed shape."""

    def __init__(self, spec: ModelSpec, capacity: int):
        super().__init__(spec, capacity)
        self.holds_more = False  # outputs are its own
        self.results = []
        for shape, output in _results(spec, capacity):
            memory = self.allocate(_bytes(shape, output))
            self.results.append(memory.view(output.dtype).reshape(shape))


def _results(spec: ModelSpec, capacity: int) -> list[tuple[tuple[int, ...], TensorSpec]]:
    """Declared shapes of a slot's outputs, rows first."""
    return [
        ((capacity, *(int(dim or 0) for dim in output.shape[1:])), output)
        for output in spec.outputs
    ]


def _bytes(shape: tuple[int, ...], tensor: TensorSpec) -> int:
    return math.prod(shape) * tensor.dtype.itemsize


class _BoundLane(_FreshLane):
    """Runs over slot memory in place: inputs and outputs are bound once per batch size.

    The outputs' shapes are what the file declares, which may be wrong: then the runtime allocates
    them after all.
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
        except Exception:  # raised again if it was not the binding that failed the run
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

    def _bind(self, slot: _BoundSlot, rows: int) -> tuple[Any, list[Array]]:
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
