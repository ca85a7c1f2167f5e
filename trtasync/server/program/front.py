"""A process that answers clients."""

import logging
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from socket import socket

import anyio

from trtasync.errors import TrtasyncError
from trtasync.server.asgi import application
from trtasync.server.fast import FastServer
from trtasync.server.fast.heads import Heads
from trtasync.server.models import Models
from trtasync.server.program.admission import (
    Tokens,
    load_certificate,
    read_tokens,
    tls_context,
)
from trtasync.server.program.catalogue import Catalogue
from trtasync.server.program.doors import url_of
from trtasync.server.program.hints import curl_for
from trtasync.server.program.settings import ServerSettings, Wanted

log: logging.Logger = logging.getLogger("trtasync")


@dataclass(frozen=True, slots=True)
class Started:
    """What a front says when clients can come.

    Attributes:
        url: where.
        models: names of what is served, with versions.
        hint: how to ask for the first of them.
    """

    url: str
    models: list[str]
    hint: str

    def __str__(self) -> str:
        return f"serves {', '.join(self.models)} at {self.url}; for example:\n  {self.hint}"


Ready = Callable[[Started], Awaitable[None]]


class Gate:
    """Whom the server lets in, by the files that say so."""

    def __init__(self, server: ServerSettings):
        """Read them.

        Raises:
            InvalidInput: one cannot be used.
        """
        self._server = server
        self.tls: ssl.SSLContext | None = None
        if server.tls_cert is not None and server.tls_key is not None:
            self.tls = tls_context(server.tls_cert, server.tls_key)
        self._tokens: Tokens | None = None
        self._read_tokens()

    def _read_tokens(self) -> None:
        if self._server.token_file is not None:
            self._tokens = read_tokens(self._server.token_file)

    def heads(self) -> Heads:
        """That reads heads of requests and lets them in."""
        return Heads() if self._tokens is None else Heads(self._tokens.admit)

    def read_again(self) -> None:
        """Take what the files say now; where one cannot be used, nothing changes.

        Raises:
            InvalidInput: one cannot be used.
        """
        certificate, key = self._server.tls_cert, self._server.tls_key
        if self.tls is not None and certificate is not None and key is not None:
            tls_context(certificate, key)  # refuses before anything is half changed
            self._read_tokens()
            load_certificate(self.tls, certificate, key)
        else:
            self._read_tokens()


async def answer(
    wanted: Wanted,
    door: socket,
    orders: AsyncIterator[Wanted],
    ready: Ready,
    *,
    shared: bool,
) -> None:
    """Serve until there are no more orders; then answer what was asked, and end.

    Args:
        wanted: what is served.
        door: a socket that listens; it is closed at the end.
        orders: what is wanted from then on.
        ready: is told when clients can come.
        shared: engines are shared with other processes.

    Raises:
        TrtasyncError: a model cannot be opened, or nobody could be let in.
    """
    server = wanted.server
    limits, gate = server.limits, Gate(server)
    models = Models()
    catalogue = Catalogue(models, wanted.offer, shared=shared)
    async with models:
        fast = FastServer(models, application(models, max_body=limits.body), limits)
        fast.heads = gate.heads()
        async with (
            fast.listening(door, gate.tls),
            anyio.create_task_group() as beside,
        ):
            beside.start_soon(catalogue.watch)
            await ready(_started(wanted, door, models))
            async for order in orders:
                _let_in_anew(gate, fast)
                if order.server != server:
                    log.warning("what is said of the server otherwise than before needs a restart")
                beside.start_soon(catalogue.apply, order.offer)
            models.is_closing = True
            await anyio.sleep(server.grace_seconds)
            beside.cancel_scope.cancel()


def _let_in_anew(gate: Gate, fast: FastServer) -> None:
    try:
        gate.read_again()
    except TrtasyncError as error:
        log.error("who was let in before goes on to be: %s", error)
    else:
        fast.heads = gate.heads()


def _started(wanted: Wanted, door: socket, models: Models) -> Started:
    server = wanted.server
    url = url_of(door, server.tls_cert is not None)
    first, *_ = models
    options = "" if server.token_file is None else "-H 'Authorization: Bearer TOKEN' "
    if server.tls_cert is not None:
        options += f"--cacert {os.path.relpath(server.tls_cert)} "
    return Started(
        url,
        [
            model.name if model.version == "1" else f"{model.name}:{model.version}"
            for model in models
        ],
        curl_for(url, first.name, first.deployment.codec.interface, options),
    )
