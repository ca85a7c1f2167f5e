"""A model of a server is opened: from its file as it is now, checked, and warm."""

import math
from typing import Any

import numpy as np
from anyio import to_thread

from trtasync.errors import InvalidInput, PlanError, TrtasyncError
from trtasync.measure.inputs import random_array
from trtasync.model.tensors import TensorSpec
from trtasync.opening.api import open_engine
from trtasync.server.program.files import Look, ModelFiles
from trtasync.server.program.settings import Served
from trtasync.shared.protocol import AnyEngine

LINGER = 1.0
"""Seconds for which the process of a shared engine stays when no front asks it any more."""

MOST_BYTES = 256 << 20
"""Of a trial request."""


class Source:
    """Where a version of a model comes from.

    Attributes:
        served: what is wanted now.
        tried: how its files were when it was opened last, or that was tried.
        seen: how they were when they were looked at last.
    """

    def __init__(self, served: Served, shared: bool):
        """`shared`: the engine is to be one that processes share."""
        self.served: Served = served
        self.tried: Look = ()
        self.seen: Look = ()
        self._shared = shared
        self._files = ModelFiles(served.path)

    async def has_changed(self) -> bool:
        """The files are others than were tried, and nobody has touched them since the last look:
        they may be being written."""
        before, self.seen = self.seen, await to_thread.run_sync(self._files.look)
        return self.tried != self.seen == before

    def want(self, served: Served) -> None:
        """The next engine is to be this."""
        if served.path != self.served.path:
            self._files = ModelFiles(served.path)
        self.served = served

    async def open(self) -> AnyEngine:
        """An engine that has answered once.

        Raises:
            TrtasyncError: the file is no model that could be served in this way.
        """
        served = self.served
        self.tried = self.seen = await to_thread.run_sync(self._files.look)
        options = served.options
        if self._shared:
            options |= {"shared": True, "linger": LINGER}
        name = served.name if served.version == 1 else f"{served.name}:{served.version}"
        engine: Any = await open_engine(served.path, name=name, **options)
        try:
            await try_out(engine)
        except BaseException:
            await engine.aclose()
            raise
        return engine  # type: ignore[no-any-return]  # of either kind


async def try_out(engine: AnyEngine) -> None:
    """Ask once, where a request follows from what the model declares: what is slow the first time
    is over then, and a model that fails on every request is not taken.

    Raises:
        PlanError: it fails.
    """
    if any(spec.host or not _is_static(spec) for spec in engine.inputs):
        return
    if sum(spec.dtype.itemsize * math.prod(_row(spec)) for spec in engine.inputs) > MOST_BYTES:
        return
    chance = np.random.default_rng(0)
    request = {spec.name: random_array(chance, spec.dtype, _row(spec)) for spec in engine.inputs}
    try:
        await engine.infer(request)
    except InvalidInput:
        return  # not what it takes, then; its callers know better
    except TrtasyncError as error:
        raise PlanError(f"it opens, but fails on a request of random numbers: {error}") from error


def _is_static(spec: TensorSpec) -> bool:
    return all(isinstance(dim, int) for dim in _axes(spec))


def _row(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(dim for dim in _axes(spec) if isinstance(dim, int))


def _axes(spec: TensorSpec) -> tuple[int | str | None, ...]:
    at = spec.batch_axis
    return spec.shape if at is None else (*spec.shape[:at], *spec.shape[at + 1 :])
