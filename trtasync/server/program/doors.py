"""Sockets that a server listens at."""

import ipaddress
import socket
from typing import Any

from trtasync.errors import InvalidInput

BACKLOG = 1024
"""Most clients that may wait to be accepted."""


def open_doors(host: str, port: int, count: int = 1) -> list[socket.socket]:
    """Open listening sockets at one address; the kernel distributes clients among them.

    The caller keeps them open: so a process that ends leaves the clients that wait to be accepted
    to the next one with the same socket.

    Args:
        host: name or address.
        port: 0 for any free one.
        count: number of sockets.

    Raises:
        InvalidInput: the address cannot be listened at.
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
                # for the first one only now: binding it must fail if somebody else listens there
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
    """Close one of several sockets, whose clients then go to the others. Return another one at its
    address, which does not listen until a server makes it."""
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
    """Hold a port at the address of `door`: from now on only sockets that share it can bind it.

    The socket that is returned does not listen, so it gets no clients; it must be kept open.

    Raises:
        InvalidInput: the port is taken.
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
    """The address of a socket, as it stands before a port."""
    host = door.getsockname()[0]
    return f"[{host}]" if ":" in host else str(host)


def url_of(door: socket.socket, has_tls: bool) -> str:
    """The URL at which clients on this machine find a socket."""
    host, port, *_ = door.getsockname()
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")
    name = f"[{address}]" if address.version == 6 else str(address)
    return f"{'https' if has_tls else 'http'}://{name}:{port}"


def is_loopback(door: socket.socket) -> bool:
    """Whether only this machine can reach a socket."""
    return ipaddress.ip_address(door.getsockname()[0]).is_loopback
