"""The forms of requests that client and host have agreed on, and those that are asked for."""

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
        quick: those of requests that were one bare array, by its shape: the hot path looks here.
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
        """Know none yet.

        Args:
            dtypes: of the inputs.
            outputs: how many the model has.
            future: makes what is awaited.
            say: sends a record.
            used: the forms of requests under way; None among them means nothing.
            most: kept at a time.
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
        """Somebody waits for the host's word on a form."""
        return any(not future.done() for _, waiting in self._asked.values() for future in waiting)

    async def find(self, arrays: Sequence[Array], single: bool) -> Form:
        """The form of such a request; the first of its kind asks the host.

        Raises:
            InvalidInput: the model takes no such request.
            QueueFull: too many different ones are under way.
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
        """One that no form has whose requests are not over."""
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
                f"requests of {self._most} different shapes are under way, as many as are taken at "
                "a time; back off.",
                limit=self._most,
            )
        self._known = kept
        self.quick.clear()

    def agreed(self, number: int) -> Form:
        """The host takes a form.

        Raises:
            KeyError: it was not asked for.
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
        """The host does not take it.

        Raises:
            KeyError: it was not asked for.
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
        """The connection is over: all who wait fail, and nothing is known any more."""
        asked, self._asked = self._asked, {}
        self._known.clear()
        self.quick.clear()
        for _, waiting in asked.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(error())
