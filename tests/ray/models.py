"""Replicas whose engines a test can hold, fail and lose."""

import os
import time
from typing import Any

from support.helpers import Array, tensor
from trtasync.integrations.ray_serve import Replica, deployment
from trtasync.testing import FunctionBackend, ScriptedBackend


def doubling(seconds: float = 0.0) -> FunctionBackend:
    """Twice what it is given, `seconds` later, whatever the batch."""

    def double(x: Array) -> Array:
        time.sleep(seconds)
        return x * 2

    return FunctionBackend(double, inputs=[tensor("x", "N", 4)], outputs=[tensor("y", "N", 4)])


class Scripted(Replica):
    """A replica that does what a test wants; see `ScriptedBackend`."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Ray awaits it
        """With the gate open."""
        self.backend: ScriptedBackend = ScriptedBackend(lambda x: x * 2)
        self.backend.bad = lambda row: bool(row[0] < 0)
        self.model = self.backend
        await super().__init__()

    async def hold(self) -> None:
        """Let no batch end."""
        self.backend.gate.shut()

    async def let(self) -> None:
        """Let all go on."""
        self.backend.gate.let()

    async def computed(self) -> int:
        """Rows that were computed."""
        return sum(map(len, self.backend.computed))

    async def lose(self) -> None:
        """The next batch loses the device."""
        self.backend.lose = True

    async def wedge(self) -> None:
        """Hang the loop for as long as anybody could wait for it."""
        time.sleep(60)  # noqa: ASYNC251 - that is what it is for

    async def pid(self) -> int:
        """Of the replica's process."""
        return os.getpid()


def scripted(**options: Any) -> Any:
    """A deployment of it."""
    told = {"name": "double", "num_gpus": 0, "loop_budget": 0.0, **options}
    return deployment(doubling(), replica=Scripted, **told)
