"""What the engine needs of an event loop, and of a future."""

from collections.abc import Callable, Generator
from typing import Any, Protocol

from trtasync.errors import WrongLoop


class Future(Protocol):
    """An answer to come: set once by the engine, awaited once by its caller."""

    def done(self) -> bool:
        """It has an answer, or its caller was cancelled."""

    def cancelled(self) -> bool:
        """Its caller was cancelled before an answer came."""

    def set_result(self, result: Any, /) -> None:
        """Answer. Raises the loop's `done_error` when done."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Fail. Raises the loop's `done_error` when done."""

    def __await__(self) -> Generator[Any, None, Any]: ...


class EventLoop(Protocol):
    """See the module's docstring. All but `ring_from_thread` are for the loop's own thread."""

    future: Callable[[], Future]
    done_error: type[Exception]
    """What a future raises that is done already (asyncio's own class: importing asyncio takes a
    third of `import trtasync`, so that is left to the loop)."""
    now: Callable[[], float]
    deadline: Callable[[], float]
    """The calling task's effective deadline: inf for none, -inf when it is cancelled already.
    Raises WrongLoop when the caller runs in another loop or thread."""

    def check(self) -> None:
        """Raise WrongLoop unless a task of this loop is calling; `deadline` may see the thread
        only, because it runs once a request and this once a loop iteration."""

    def ring(self) -> None:
        """Run the callback once, after what is ready now."""

    def alarm(self, when: float) -> None:
        """Ring at a time, instead of at the one set before; inf for never."""

    def ring_from_thread(self) -> None:
        """`ring`, from any thread. Never blocks; does nothing when the loop is gone."""

    def close(self) -> None:
        """Ring no more."""


def wrong_loop() -> WrongLoop:
    """The error for a caller that this loop does not run."""
    return WrongLoop(
        "this engine was opened in another event loop or thread. An engine belongs to the loop "
        "that opened it: open one per loop, or hand requests over with a blocking portal."
    )
