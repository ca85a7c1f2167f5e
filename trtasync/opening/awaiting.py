"""What `open_engine` returns: an engine to be, entered or awaited."""

from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar

from trtasync.errors import InvalidInput
from trtasync.shared.protocol import AnyEngine

Opened = TypeVar("Opened", bound=AnyEngine)


class Opening(AbstractAsyncContextManager[Opened, None], Generic[Opened]):
    """An engine to be opened, by `async with` or by `await`; see `open_engine`."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Opened]]):
        """Open nothing yet.

        Args:
            make: opens it; called once.
        """
        self._make: Callable[[], Coroutine[Any, Any, Opened]] | None = make
        self._engine: Opened | None = None

    def __await__(self) -> Generator[Any, None, Opened]:
        return self._once().__await__()

    async def __aenter__(self) -> Opened:
        self._engine = await self._once()
        return self._engine

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        engine, self._engine = self._engine, None
        assert engine is not None
        await engine.aclose(drain=error is None)

    def _once(self) -> Coroutine[Any, Any, Opened]:
        make, self._make = self._make, None
        if make is None:
            raise InvalidInput("this engine was opened before; call open_engine for another one.")
        return make()
