"""The ceiling for padded texts: given batches through plain streams, without forming any.

One thread per stream, two sets of pinned memory each, filled once. A graph per set and shape holds
copies in, network and copy out, as the engine's do for rows this small. Written on CUDA's bare
calls, without a line of trtasync; the kernels are the very same.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.gpu.schedule import Run
from support.gpu import hardware
from support.gpu.bert import ANSWER, DTYPE, IDS, MASK, Size
from support.gpu.hardware import Array, call, enter, malloc, new_event, pinned, release, runtime
from support.gpu.kernels import Kernel

SETS = 2
"""Batches queued on each stream."""


class Situation:
    """What the kernels look at in the double's execution context."""

    def __init__(self, rows: int, length: int, hidden: int, addresses: dict[str, int]):
        """addresses: tensor name -> device address."""
        self._addresses = addresses
        self._shapes = {IDS: (rows, length), MASK: (rows, length), ANSWER: (rows, hidden)}
        self._device_memory = (0, 0)


class PinnedSet:
    """The host memory of one batch, its event, and its graphs by (rows, length).

    Attributes:
        ids, mask, answers: flat; a batch lies at their beginning.
    """

    def __init__(self, rows: int, size: Size):
        """rows: of the largest batch."""
        self.ids = pinned((rows * size.longest,), DTYPE)
        self.mask = pinned((rows * size.longest,), DTYPE)
        self.answers = pinned((rows, size.hidden), np.float32)
        self.event = new_event()
        self.graphs: dict[tuple[int, int], int] = {}
        self.fill(size)

    def fill(self, size: Size) -> None:
        """Any tokens, none of them padding: how long a batch takes does not depend on them."""
        self.ids[:] = np.random.default_rng(1).integers(1, size.words, self.ids.shape)
        self.mask[:] = 1

    def close(self) -> None:
        """Free everything."""
        for graph in self.graphs.values():
            call(runtime().cudaGraphExecDestroy, graph)
        call(runtime().cudaEventDestroy, self.event)
        for array in (self.ids, self.mask, self.answers):
            release(array)


class PlainStream:
    """One stream with device memory for one batch and two sets of pinned memory."""

    def __init__(self, kernel: Kernel, size: Size, sizes: Sequence[int], lengths: Sequence[int]):
        """Capture every shape.

        Args:
            kernel: of the model.
            size: of the model.
            sizes: batch sizes, ascending.
            lengths: padded lengths, ascending.
        """
        self._size = size
        self._kernel = kernel
        self._stream = hardware.new_stream()
        self._sets = [PinnedSet(sizes[-1], size) for _ in range(SETS)]
        first = self._sets[0]
        self._addresses = {
            IDS: malloc(first.ids.nbytes),
            MASK: malloc(first.mask.nbytes),
            ANSWER: malloc(first.answers.nbytes),
        }
        for name, array in ((IDS, first.ids), (MASK, first.mask)):
            # whatever lay there before would be no tokens
            address = self._addresses[name]
            call(runtime().cudaMemsetAsync, address, 0, array.nbytes, self._stream)
        self._situations: list[Situation] = []
        for length in lengths:
            for rows in sizes:
                self._capture(rows, length)

    def _capture(self, rows: int, length: int) -> None:
        context = Situation(rows, length, self._size.hidden, self._addresses)
        self._situations.append(context)  # its graphs live as long as it
        self._run_network(context)
        call(runtime().cudaStreamSynchronize, self._stream)
        for each in self._sets:
            each.graphs[rows, length] = hardware.capture(
                self._stream,
                lambda at=each: self._enqueue_all(context, at, rows, length),  # type: ignore[misc]
            )

    def _run_network(self, context: Situation) -> None:
        if not self._kernel(context, self._stream):
            raise RuntimeError(f"a batch of {context._shapes[IDS]} was not enqueued")

    def _enqueue_all(self, context: Situation, at: PinnedSet, rows: int, length: int) -> None:
        kinds = runtime().cudaMemcpyKind
        for name, array in ((IDS, at.ids), (MASK, at.mask)):
            count = rows * length * array.itemsize
            self._copy(
                self._addresses[name], array.ctypes.data, count, kinds.cudaMemcpyHostToDevice
            )
        self._run_network(context)
        count = rows * self._size.hidden * at.answers.itemsize
        source, target = self._addresses[ANSWER], at.answers.ctypes.data
        self._copy(target, source, count, kinds.cudaMemcpyDeviceToHost)

    def _copy(self, target: int, source: int, count: int, kind: object) -> None:
        call(runtime().cudaMemcpyAsync, target, source, count, kind, self._stream)

    def drive(self, turns: Iterator[Run]) -> int:
        """Run batches until there are no more; other threads may take of them too.

        Returns:
            how many this stream ran.
        """
        done = 0
        for turn in turns:
            each = self._sets[done % SETS]
            call(runtime().cudaEventSynchronize, each.event)
            self._launch(each, turn.run_rows, turn.length)
            done += 1
        for each in self._sets:
            call(runtime().cudaEventSynchronize, each.event)
        return done

    def _launch(self, each: PinnedSet, rows: int, length: int) -> None:
        call(runtime().cudaGraphLaunch, each.graphs[rows, length], self._stream)
        call(runtime().cudaEventRecord, each.event, self._stream)

    def answers(self, texts: Sequence[Array], rows: int, length: int) -> Array:
        """The answers to some texts, padded to a batch: to be checked."""
        each = self._sets[0]
        ids = each.ids[: rows * length].reshape(rows, length)
        mask = each.mask[: rows * length].reshape(rows, length)
        ids[:], mask[:] = 0, 0
        for row, text in enumerate(texts):
            ids[row, : len(text)], mask[row, : len(text)] = text, 1
        self._launch(each, rows, length)
        call(runtime().cudaEventSynchronize, each.event)
        found: Array = each.answers[: len(texts)].copy()
        each.fill(self._size)
        return found

    def close(self) -> None:
        """Free everything."""
        call(runtime().cudaStreamSynchronize, self._stream)
        for each in self._sets:
            each.close()
        for address in self._addresses.values():
            call(runtime().cudaFree, address)
        call(runtime().cudaStreamDestroy, self._stream)
        self._situations.clear()


class PlainTexts:
    """Several such streams; `run` uses the first few of them."""

    def __init__(
        self,
        kernel: Kernel,
        size: Size,
        streams: int,
        sizes: Sequence[int],
        lengths: Sequence[int],
    ):
        """See `PlainStream`."""
        self.streams = [PlainStream(kernel, size, sizes, lengths) for _ in range(streams)]

    def run(self, streams: int, runs: Sequence[Run]) -> float:
        """Seconds for these batches, started in this order."""
        turns = iter(runs)  # a list's iterator hands each item to one thread only
        with ThreadPoolExecutor(streams, "plain-stream", enter) as pool:
            for each in [pool.submit(time.sleep, 0.01) for _ in range(streams)]:
                each.result()  # every thread is ready
            began = time.perf_counter()
            driving = [pool.submit(stream.drive, turns) for stream in self.streams[:streams]]
            done = sum(each.result() for each in driving)
            passed = time.perf_counter() - began
        if done != len(runs):
            raise RuntimeError(f"{done} of {len(runs)} batches were run")
        return passed

    def close(self) -> None:
        """Free everything."""
        for stream in self.streams:
            stream.close()
