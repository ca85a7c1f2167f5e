"""Opening an engine for callers who may not wait that long."""

import asyncio
from collections.abc import Awaitable, Callable

from trtasync.engine import Engine


class Openings:
    """Opens engines one after the other; who gives up waiting for one does not call it off.

    Else a model that takes longer to open than its callers wait would never be open. One that
    nobody took is given up when another one is asked for. For asyncio.
    """

    def __init__(self) -> None:
        """None yet."""
        self._model = ""
        self._opening: asyncio.Task[Engine] | None = None

    async def open(self, model: str, make: Callable[[str], Awaitable[Engine]]) -> Engine:
        """The engine of a model, which belongs to the caller then. Raises what `make` raises.

        Args:
            model: its id; asked for by one caller at a time.
            make: opens it.
        """
        if self._model != model:
            await self.aclose()
        if self._opening is None:
            self._model, self._opening = model, asyncio.create_task(_call(make, model))
        opening = self._opening
        await asyncio.wait([opening])
        self._opening = None
        return opening.result()

    async def aclose(self) -> None:
        """Close what nobody took."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.wait([opening])
            if not opening.cancelled() and opening.exception() is None:
                await opening.result().aclose()


async def _call(make: Callable[[str], Awaitable[Engine]], model: str) -> Engine:
    return await make(model)
