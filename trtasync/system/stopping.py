"""Long work in a thread that whoever wanted it may call off."""

import threading


class Stopped(Exception):
    """The work was called off; what comes of it is nobody's."""


def go_on(stop: threading.Event) -> None:
    """Raise `Stopped` if the work was called off: to be asked between two steps of it."""
    if stop.is_set():
        raise Stopped
