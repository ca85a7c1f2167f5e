"""Opening a model of a server: from its file as it is now, tried out and warm."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from anyio import to_thread

from trtasync.errors import TrtasyncError
from trtasync.measure.inputs import random_array
from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec
from trtasync.opening.api import open_engine
from trtasync.opening.arguments import HANG_TIMEOUT
from trtasync.server.program.files import Look, ModelFiles
from trtasync.server.program.settings import Served
from trtasync.shared.protocol import AnyEngine
from trtasync.tracing.exporting import Tracing

LINGER = 1.0
"""Seconds for which the process of a shared engine stays after its last front has left."""

MOST_BYTES = 256 << 20
"""Most bytes of a trial request."""


class Manner(NamedTuple):
    """How this process opens engines.

    Attributes:
        shared: they are shared with other processes.
        traces: exporter of the spans of their batches, if they are shared; None for none.
        tracing: traces each of them.
        hang_timeout: as `open_engine` takes it, if they are shared.
    """

    shared: bool
    traces: str | None
    tracing: Tracing
    hang_timeout: float = HANG_TIMEOUT


class Source:
    """Where a version of a model comes from.

    Attributes:
        served: what is wanted now.
        tried: the state of its files at the last attempt to open it.
        seen: the state of its files at the last look.
        fault: what the trial request to the last opened engine failed with; None if it did not.
    """

    def __init__(self, served: Served, manner: Manner):
        """`manner`: how it is opened."""
        self.served: Served = served
        self.tried: Look = ()
        self.seen: Look = ()
        self.fault: TrtasyncError | None = None
        self._manner = manner
        self._files = ModelFiles(served.path)

    async def has_changed(self) -> bool:
        """Whether the files differ from those tried, and are as they were at the last look; until
        then they may still be being written."""
        before, self.seen = self.seen, await to_thread.run_sync(self._files.look)
        return self.tried != self.seen == before

    async def open(self) -> AnyEngine:
        """Open an engine, and try it out.

        Raises:
            TrtasyncError: the file is no model that can be served in this way.
        """
        served = self.served
        self.tried = self.seen = await to_thread.run_sync(self._files.look)
        options = served.options
        if self._manner.shared:
            options |= {
                "shared": True,
                "linger": LINGER,
                "traces": self._manner.traces,
                "hang_timeout": self._manner.hang_timeout,
            }
        name = served.name if served.version == 1 else f"{served.name}:{served.version}"
        engine: Any = await open_engine(served.path, name=name, **options)
        try:
            self.fault = await try_out(engine)
            self._manner.tracing.trace(engine)
        except BaseException:
            await engine.aclose()
            raise
        return engine  # type: ignore[no-any-return]  # of either kind


async def try_out(engine: AnyEngine) -> TrtasyncError | None:
    """Send a trial request, if what the model declares determines one, so that whatever is slow the
    first time is over.

    Returns:
        what the request failed with; None if it did not. It need not be the model's fault: random
        numbers are no valid request for every model.
    """
    if any(spec.host or not _is_static(spec) for spec in engine.inputs):
        return None
    if sum(spec.dtype.itemsize * math.prod(_row(spec)) for spec in engine.inputs) > MOST_BYTES:
        return None
    try:
        await engine.infer(await to_thread.run_sync(_random_request, engine.inputs))
    except TrtasyncError as error:
        return error
    return None


def _random_request(inputs: Sequence[TensorSpec]) -> dict[str, Array]:
    """Make a request. For a thread: it may have hundreds of megabytes."""
    chance = np.random.default_rng(0)
    return {spec.name: random_array(chance, spec.dtype, _row(spec)) for spec in inputs}


def _is_static(spec: TensorSpec) -> bool:
    return all(isinstance(dim, int) for dim in _axes(spec))


def _row(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(dim for dim in _axes(spec) if isinstance(dim, int))


def _axes(spec: TensorSpec) -> tuple[int | str | None, ...]:
    at = spec.batch_axis
    return spec.shape if at is None else (*spec.shape[:at], *spec.shape[at + 1 :])
