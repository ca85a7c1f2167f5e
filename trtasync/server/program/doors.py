"""Sockets that a server listens at."""

import ipaddress
import socket
from typing import Any

from trtasync.errors import InvalidInput

BACKLOG = 1024
"""Clients that wait to be accepted."""


def open_doors(host: str, port: int, count: int = 1) -> list[socket.socket]:
    """Sockets of one address that listen; the kernel shares clients among them.

    Whoever opens them keeps them open: so a process that ends leaves its clients who wait to be
    accepted to the next one that has the same socket.

    Args:
        host: name or address.
        port: 0 for any that is free.
        count: of them.

    Raises:
        InvalidInput: nobody can listen there.
    """
    doors: list[socket.socket] = []
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        for _ in range(count):
            door = socket.socket(family)
            doors.append(door)
            _bind(door, address, is_shared=len(doors) > 1)
            if count > 1:
                # only now for the first: nobody else may have been there
                door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            address = door.getsockname()
        for door in doors:
            door.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        for door in doors:
            door.close()
        raise InvalidInput(f"cannot listen at {host}, port {port}: {error}.") from error
    return doors


def replace_door(door: socket.socket) -> socket.socket:
    """Close one of several, and have its clients go to the others: another at its address, which
    does not listen before a server does it."""
    other = socket.socket(door.family)
    _bind(other, door.getsockname(), is_shared=True)
    door.close()
    return other


def _bind(door: socket.socket, address: Any, is_shared: bool) -> None:
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    door.bind(address)


def hold_port(door: socket.socket, port: int) -> socket.socket:
    """A port at the address of `door`, which only those can have from now on who share it.

    What is returned does not listen, so it gets no clients, and is to be kept open.

    Raises:
        InvalidInput: somebody else has it.
    """
    held = socket.socket(door.family)
    try:
        _bind(held, (door.getsockname()[0], port), is_shared=False)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        held.close()
        raise InvalidInput(f"cannot listen at port {port} for gRPC: {error}.") from error
    return held


def numeric(door: socket.socket) -> str:
    """Its address, as it stands before a port."""
    host = door.getsockname()[0]
    return f"[{host}]" if ":" in host else str(host)


def url_of(door: socket.socket, has_tls: bool) -> str:
    """Where clients of this machine find it."""
    host, port, *_ = door.getsockname()
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")
    name = f"[{address}]" if address.version == 6 else str(address)
    return f"{'https' if has_tls else 'http'}://{name}:{port}"


def is_loopback(door: socket.socket) -> bool:
    """Only this machine can reach it."""
    return ipaddress.ip_address(door.getsockname()[0]).is_loopback
