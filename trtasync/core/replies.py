"""What receives the outcome of a request."""

from typing import Any, Protocol


class Reply(Protocol):
    """Receives the outcome of a request, once. A future is one; a connection can be."""

    def done(self) -> bool:
        """Whether it has its outcome, or nobody waits for one: the request is not computed."""

    def set_result(self, result: Any, /) -> None:
        """Take the answer. May raise the event loop's `done_error` when done."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Take the failure."""


class _Uncommitted:
    """Stands in for the reply of a request that has none yet: such a request is not run."""

    def done(self) -> bool:
        return True

    def set_result(self, result: Any, /) -> None:
        raise AssertionError("a request was answered that was not complete")

    def set_exception(self, exception: BaseException, /) -> None:
        raise AssertionError("a request failed that was not complete")


UNCOMMITTED = _Uncommitted()
