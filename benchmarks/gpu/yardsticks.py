"""The parts of the yardsticks: pinned and device buffers of one batch, and the model's graphs.

Written on CUDA's bare calls, without a line of trtasync. The kernels are the very same objects.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.gpu.works import Work
from support.gpu import hardware
from support.gpu.hardware import Array, call, malloc, new_event, pinned, release, runtime
from support.gpu.plans import BUCKETS


class Context:
    """What the kernels read from the double's execution context."""

    def __init__(self, work: Work, rows: int, x: int, y: int):
        """x, y: device addresses."""
        self._addresses = {"x": x, "y": y}
        self._shapes = {"x": (rows, *work.row), "y": (rows, *work.answer)}
        self._device_memory = (0, 0)


class Lane:
    """One batch at a time: pinned memory, device memory, a graph per batch size, an event.

    Attributes:
        x, y: the pinned rows, to be written to and read from.
        capacity: rows.
    """

    def __init__(
        self,
        work: Work,
        stream: int,
        buckets: Sequence[int] = BUCKETS,
        spinning: bool = False,
    ):
        """Allocate the buffers and capture the graphs.

        Args:
            work: the model.
            stream: a handle; several lanes may share it.
            buckets: batch sizes, ascending.
            spinning: `wait` spins instead of sleeping, which wakes sooner.
        """
        self.capacity = buckets[-1]
        self.x = pinned((self.capacity, *work.row), work.dtype)
        self.y = pinned((self.capacity, *work.answer), np.float32)
        self._device = malloc(self.x.nbytes), malloc(self.y.nbytes)
        self._stream = stream
        self._buckets = tuple(buckets)
        self._event = _spinning_event() if spinning else new_event()
        self._contexts = [Context(work, rows, *self._device) for rows in buckets]
        self._graphs = [self._graph(work, context) for context in self._contexts]
        self._row_bytes = self.x[0].nbytes, self.y[0].nbytes
        module = runtime()
        self._copy, self._launch = module.cudaMemcpyAsync, module.cudaGraphLaunch
        self._record, self._wait = module.cudaEventRecord, module.cudaEventSynchronize
        self._in = module.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._out = module.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._hosts = self.x.ctypes.data, self.y.ctypes.data

    def _graph(self, work: Work, context: Context) -> int:
        def run() -> None:
            if not work.kernel(context, self._stream):
                raise RuntimeError(f"{work.name} was not enqueued")

        run()
        call(runtime().cudaStreamSynchronize, self._stream)
        return hardware.capture(self._stream, run)

    def enqueue(self, rows: int) -> None:
        """Copy in, run, copy out, record."""
        graph = self._graphs[next(i for i, size in enumerate(self._buckets) if size >= rows)]
        stream, (x, y), (host_x, host_y) = self._stream, self._device, self._hosts
        results = (
            self._copy(x, host_x, rows * self._row_bytes[0], self._in, stream),
            self._launch(graph, stream),
            self._copy(host_y, y, rows * self._row_bytes[1], self._out, stream),
            self._record(self._event, stream),
        )
        _check(results)

    def wait(self) -> None:
        """Until what was enqueued last is done."""
        _check((self._wait(self._event),))

    def close(self) -> None:
        """Free everything."""
        module = runtime()
        call(module.cudaStreamSynchronize, self._stream)
        for graph in self._graphs:
            call(module.cudaGraphExecDestroy, graph)
        self._graphs, self._contexts = [], []
        for address in self._device:
            call(module.cudaFree, address)
        call(module.cudaEventDestroy, self._event)
        for array in (self.x, self.y):
            release(array)


def _check(results: Sequence[Any]) -> None:
    for result in results:
        if result[0]:
            raise RuntimeError(f"CUDA: {result[0]!r}")


def _spinning_event() -> int:
    return int(call(runtime().cudaEventCreateWithFlags, runtime().cudaEventDisableTiming))


def reference(work: Work, rows: Sequence[Array]) -> list[Array]:
    """The answers, computed in large batches by the bare kernels."""
    lane = Lane(work, hardware.new_stream(), BUCKETS[-1:])
    answers: list[Array] = []
    for start in range(0, len(rows), lane.capacity):
        batch = rows[start : start + lane.capacity]
        np.stack(batch, out=lane.x[: len(batch)])
        lane.enqueue(len(batch))
        lane.wait()
        answers.extend(lane.y[: len(batch)].copy())
    lane.close()
    return answers
