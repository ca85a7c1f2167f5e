"""Who is told how a request ended."""

from typing import Any, Protocol


class Reply(Protocol):
    """Who is told how a request ended, once. A future is one; a connection can be."""

    def done(self) -> bool:
        """It was told already, or nobody wants to know any more: the request is not computed."""

    def set_result(self, result: Any, /) -> None:
        """The answer. May raise the event loop's `done_error` when done."""

    def set_exception(self, exception: BaseException, /) -> None:
        """The failure."""


class _Uncommitted:
    """Stands for the reply of a request that has none yet: such a request is not run."""

    def done(self) -> bool:
        return True

    def set_result(self, result: Any, /) -> None:
        raise AssertionError("a request was answered that was not complete")

    def set_exception(self, exception: BaseException, /) -> None:
        raise AssertionError("a request failed that was not complete")


UNCOMMITTED = _Uncommitted()
