"""Rows that are reserved by somebody who is no coroutine, and who is told of the answer."""

from typing import Any

from support.helpers import Array
from trtasync import Engine
from trtasync.core.intake import Intake
from trtasync.core.reservations import Reservation


class Reply:
    """Remembers what it was told; `given_up` says that nobody wants to know."""

    def __init__(self) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.given_up = False

    def done(self) -> bool:
        return self.given_up or self.result is not None or self.error is not None

    def set_result(self, result: Any, /) -> None:
        self.result = result

    def set_exception(self, exception: BaseException, /) -> None:
        self.error = exception


def intake_of(engine: Engine) -> Intake:
    return engine._core.intake


def reserve(engine: Engine, like: Array, **options: Any) -> Reservation:
    """Rows for a request of that shape."""
    signature, _ = engine._reader.read(like)
    return intake_of(engine).reserve(signature, **options)


def fill(reservation: Reservation, content: Array) -> None:
    """Write the content where it belongs, as it is now."""
    (target,) = reservation.rows_to_write()
    target[...] = content
