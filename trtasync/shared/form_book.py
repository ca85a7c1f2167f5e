"""The forms of requests that client and host have agreed on, and those being requested."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from trtasync.errors import QueueFull, TrtasyncError
from trtasync.loops import Future
from trtasync.model.arrays import Array, Shape
from trtasync.shared.forms import place
from trtasync.shared.records import Op, dump
from trtasync.shared.records import pack as packed
from trtasync.shared.slots import Form, Key

MOST_FORMS = 4096
"""What the host keeps for one client. Shapes can be endless: past that they are forgotten."""


class FormBook:
    """A client's forms, by the shapes of a request.

    Attributes:
        quick: those of requests with one bare array, by its shape: used by the hot path.
    """

    def __init__(
        self,
        dtypes: Sequence[np.dtype[Any]],
        outputs: int,
        future: Callable[[], Future],
        say: Callable[[bytes], None],
        used: Callable[[], Iterable[Form | None]],
        most: int = MOST_FORMS,
    ):
        """Start without forms.

        Args:
            dtypes: the inputs' dtypes.
            outputs: the number of the model's outputs.
            future: creates what is awaited.
            say: sends a record.
            used: the forms of requests in flight; may contain None.
            most: the most forms kept at a time.
        """
        self._dtypes = dtypes
        self._one_output = outputs == 1
        self._future = future
        self._say = say
        self._used = used
        self._most = most
        self.quick: dict[Shape, Form] = {}
        self._known: dict[Key, Form] = {}
        self._asked: dict[Key, tuple[Form, list[Future]]] = {}
        self._unused: list[int] = []
        self._given = 0

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the host's decision on a form."""
        return any(not future.done() for _, waiting in self._asked.values() for future in waiting)

    async def find(self, arrays: Sequence[Array], single: bool) -> Form:
        """The form of such a request; the first of its kind is sent to the host.

        Raises:
            InvalidInput: the model does not accept such a request.
            QueueFull: too many different ones are in flight.
            DeviceLost: the host has ended.
        """
        key: Key = tuple(array.shape for array in arrays), single
        while (form := self._known.get(key)) is None:  # it may be forgotten before it is used
            asked = self._asked.get(key)
            if asked is None:
                asked = self._ask(key), []
                self._asked[key] = asked
            future = self._future()
            asked[1].append(future)
            await future
        return form

    def _ask(self, key: Key) -> Form:
        shapes, single = key
        form = Form(self._number(), key, place(shapes, self._dtypes), single and self._one_output)
        payload = dump({"shapes": shapes, "single": single})
        self._say(packed(Op.FORM, form=form.number, payload=payload))
        return form

    def _number(self) -> int:
        """A number that no form with unfinished requests has."""
        if not self._unused and self._given >= self._most:
            self._forget()
        if self._unused:
            return self._unused.pop()
        self._given += 1
        return self._given - 1

    def _forget(self) -> None:
        used = set(self._used())
        kept = {key: form for key, form in self._known.items() if form in used}
        self._unused = [form.number for key, form in self._known.items() if key not in kept]
        if not self._unused:
            raise QueueFull(
                f"requests of {self._most} different shapes are in flight, the most that are "
                "accepted at a time; back off.",
                limit=self._most,
            )
        self._known = kept
        self.quick.clear()

    def agreed(self, number: int) -> Form:
        """The host accepts a form.

        Raises:
            KeyError: it was not requested.
        """
        form, waiting = self._answered(number)
        self._known[form.key] = form
        (shapes, single) = form.key
        if single:
            self.quick[shapes[0]] = form
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return form

    def refused(self, number: int, error: Callable[[], TrtasyncError]) -> None:
        """The host refuses a form.

        Raises:
            KeyError: it was not requested.
        """
        form, waiting = self._answered(number)
        self._unused.append(form.number)
        for future in waiting:
            if not future.done():
                future.set_exception(error())

    def _answered(self, number: int) -> tuple[Form, list[Future]]:
        for key, (form, _) in self._asked.items():
            if form.number == number:
                return self._asked.pop(key)
        raise KeyError(number)

    def fail(self, error: Callable[[], TrtasyncError]) -> None:
        """The connection has ended: all waiters fail, and all forms are forgotten."""
        asked, self._asked = self._asked, {}
        self._known.clear()
        self.quick.clear()
        for _, waiting in asked.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(error())
