"""Where a server is."""

from typing import NamedTuple
from urllib.parse import urlsplit

from trtasync.errors import InvalidInput

PORTS = {"http": 80, "https": 443, "grpc": None, "grpcs": None}
"""Schemes, and their default ports; None for a scheme without one."""


class Place(NamedTuple):
    """Where a server is, and how to speak to it.

    Attributes:
        scheme: one of `PORTS`.
        host: its name or address.
        port: where it listens.
        path: what the protocol's paths follow, without a slash at its end.
        token: is shown to be let in; empty for none.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    token: str = ""

    @property
    def is_tls(self) -> bool:
        """Whether the server is reached by TLS."""
        return self.scheme in ("https", "grpcs")

    @property
    def authority(self) -> str:
        """Host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def authorization(self) -> str:
        """The Authorization header that shows the token; empty without one."""
        return f"Bearer {self.token}" if self.token else ""


def read_url(url: str, token: str = "") -> Place:
    """Where `url` leads.

    Args:
        url: of the server.
        token: is shown there; empty for none.

    Raises:
        InvalidInput: it is no URL of a server, or has more than host, port and path.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError as error:
        raise InvalidInput(f"{url!r} is no URL: {error}.") from None
    path = parts.path.rstrip("/")
    more = parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme.startswith("grpc"):
        more = more or path
    if parts.scheme not in PORTS or not host or not port or more:
        raise InvalidInput(
            "a server is named by http://HOST:PORT, https, grpc://HOST:PORT or grpcs, "
            f"not by {url!r}."
        )
    return Place(parts.scheme, host, port, path, token)
