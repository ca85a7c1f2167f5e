"""Who asks an engine, so that it is not closed before they have reached it."""

from types import TracebackType

import anyio


class Users:
    """Of one engine: from when they know it to when they have what they asked for.

    An engine answers what it has taken before it closes. Whoever asks in a task, or waits for
    something first, has chosen it some turns of the loop before it takes anything.
    """

    def __init__(self) -> None:
        """Nobody."""
        self._count = 0
        self._none = anyio.Event()

    def come(self) -> None:
        """One more."""
        self._count += 1

    def go(self, _: object = None) -> None:
        """One less; also as a callback of a task."""
        self._count -= 1
        if not self._count:
            self._none.set()

    async def wait_none(self) -> None:
        """Until there are none; nobody new may come by then."""
        if self._count:
            self._none = anyio.Event()
            await self._none.wait()

    def __enter__(self) -> None:
        self.come()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.go()
