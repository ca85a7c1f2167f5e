"""The users of an engine, which must not be closed before their requests have reached it."""

from types import TracebackType

import anyio


class Users:
    """Counts the users of one engine, from choosing it to having its answer.

    An engine answers what it has accepted before it closes. But a user that asks in a task, or
    awaits something first, chooses it some turns of the loop before it accepts the request.
    """

    def __init__(self) -> None:
        """Start without users."""
        self._count = 0
        self._none = anyio.Event()

    def come(self) -> None:
        """Count one more user."""
        self._count += 1

    def go(self, _: object = None) -> None:
        """Count one user less; also usable as a task's done callback."""
        self._count -= 1
        if not self._count:
            self._none.set()

    async def wait_none(self) -> None:
        """Wait until there are none; no new ones may come from now on."""
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
