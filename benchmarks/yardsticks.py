"""What trtasync is compared with: no batcher at all, and the best small one we can write.

Both are plain asyncio and do nothing that a user could not do in an afternoon. They know one model,
one loop and one shape; they have no deadlines, no backpressure, no threads, no statistics.
"""

import asyncio
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Model = Callable[[Array], Array]


class Null:
    """A future created, resolved by the loop and awaited: the minimum for any asyncio batcher."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def infer(self, row: Array) -> asyncio.Future[Array]:
        """Return the row itself in the loop's next iteration."""
        future: asyncio.Future[Array] = self._loop.create_future()
        self._loop.call_soon(future.set_result, row)
        return future


class SlabBatcher:
    """Rows are copied into one preallocated slab as they come; the model runs on the loop.

    A batch is run at once when it is full, otherwise after the callbacks that are ready now, so
    that all requests of one loop iteration go together. `infer` is not a coroutine: it returns the
    future, which saves a frame per request.
    """

    def __init__(self, model: Model, columns: int, max_batch_size: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._model = model
        self._slab = np.empty((max_batch_size, columns), np.float32)
        self._rows = list(self._slab)  # a view of each: writing through it is cheaper
        self._last = max_batch_size - 1
        self._futures: list[asyncio.Future[Array]] = []
        self._scheduled = False

    def infer(self, row: Array) -> asyncio.Future[Array]:
        """Queue one row; the future's result is its row of the model's output."""
        futures = self._futures
        place = len(futures)
        self._rows[place][...] = row  # before the future: a bad row affects only its caller
        future: asyncio.Future[Array] = self._loop.create_future()
        futures.append(future)
        if place == self._last:
            self._run()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run_scheduled)
        return future

    def _run_scheduled(self) -> None:
        self._scheduled = False
        if self._futures:
            self._run()

    def _run(self) -> None:
        futures, self._futures = self._futures, []
        try:
            answers = self._model(self._slab[: len(futures)])
        except Exception as error:
            for future in futures:
                if not future.done():
                    future.set_exception(error)
            return
        for future, answer in zip(futures, answers, strict=True):
            if not future.done():  # its caller was cancelled
                future.set_result(answer)
