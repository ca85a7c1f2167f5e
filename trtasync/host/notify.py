"""Notifies a service manager: systemd's `sd_notify`, without its library."""

import os
import socket
from contextlib import suppress


def notify(*states: str) -> None:
    """Notify the manager, if there is one.

    Args:
        states: such as "READY=1"; see sd_notify(3).
    """
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    # "@" stands for Linux's abstract namespace
    address = "\0" + place[1:] if place.startswith("@") else place
    with (
        suppress(OSError),  # a manager that is gone is not our error
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end,
    ):
        end.sendto("\n".join(states).encode(), address)


def watchdog_seconds() -> float | None:
    """The interval within which the manager expects "WATCHDOG=1"; None for not at all."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    if not microseconds.isdecimal() or not int(microseconds) or meant != str(os.getpid()):
        return None
    return int(microseconds) / 1e6
