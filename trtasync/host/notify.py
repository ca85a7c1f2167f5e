"""What a service manager is told: systemd's `sd_notify`, without its library."""

import os
import socket
from contextlib import suppress


def notify(*states: str) -> None:
    """Tell the manager, if there is one that wants to know.

    Args:
        states: such as "READY=1"; see sd_notify(3).
    """
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    address = "\0" + place[1:] if place.startswith("@") else place  # abstract, in Linux's way
    with (
        suppress(OSError),  # a manager that has gone is nobody's error here
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end,
    ):
        end.sendto("\n".join(states).encode(), address)


def watchdog_seconds() -> float | None:
    """How often the manager wants to hear "WATCHDOG=1" at least; None for not at all."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    if not microseconds.isdecimal() or not int(microseconds) or meant != str(os.getpid()):
        return None
    return int(microseconds) / 1e6
