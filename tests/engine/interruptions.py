"""An exception between any two lines: raised by a trace function."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

import trtasync

LIBRARY = str(Path(trtasync.__file__).parent)
_BEYOND = ("__del__", "__enter__", "__exit__", "release")


class Interrupt(BaseException):
    """What `KeyboardInterrupt` is to a program, told apart from a real one."""


class Interruption:
    """Raises an exception before the `at`-th line that the library runs under a coroutine.

    What the event loop calls by itself is left alone, and so are other callers.

    Attributes:
        where: file, line and function where it happened; empty if there were not so many lines.
    """

    def __init__(self, root: CodeType, at: int, error: Callable[[], BaseException]):
        """Trace nothing before the context is entered.

        Args:
            root: the code of the coroutine under which lines are counted.
            at: which of them, from 1.
            error: makes the exception.
        """
        self._root = root
        self._left = at
        self._error = error
        self.where = ""

    def __enter__(self) -> Self:
        self._before = sys.gettrace()  # of `make coverage`, for example
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _called(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(LIBRARY) or not self._is_below(frame):
            return None
        return self._line

    def _is_below(self, frame: FrameType | None) -> bool:
        # Python itself swallows what comes in a finalizer, and a `with` block that is interrupted
        # while it begins or ends releases nothing: an answer that was not given back then is given
        # back by its finalizer, with a warning
        while frame is not None and frame.f_code.co_name not in _BEYOND:
            if frame.f_code is self._root:
                return True
            frame = frame.f_back
        return False

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line" and not self.where:
            self._left -= 1
            if self._left == 0:
                name = Path(frame.f_code.co_filename).name
                self.where = f"{name}:{frame.f_lineno} {frame.f_code.co_name}"
                raise self._error()
        return self._line
