"""Whom a server lets in: tokens, and TLS."""

import hmac
import ssl
from pathlib import Path

from trtasync.errors import InvalidInput
from trtasync.server.fast.heads import Head, Heads
from trtasync.server.program.settings import ServerSettings
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.tokens import read_tokens

OPEN = (b"/v2/health/live", b"/v2/health/ready")
"""Paths that need no token, for whatever looks after processes."""

SCHEME = b"bearer "


class Tokens:
    """The tokens of which clients must show one to be let in."""

    def __init__(self, tokens: list[bytes]):
        """Let in clients that show any of these."""
        self._tokens = tokens

    def admit(self, head: Head) -> None:
        """Check that a request may pass.

        Raises:
            Refusal: it has no `Authorization: Bearer TOKEN` with one of the tokens (401).
        """
        if head.target.partition(b"?")[0] in OPEN:
            return
        shown = [value for name, value in head.headers if name == b"authorization"]
        if len(shown) != 1 or not self.know(shown[0]):
            raise Refusal(
                "this server wants a token: Authorization: Bearer TOKEN, of those in its "
                "--token-file.",
                status=401,
            )

    def know(self, authorization: bytes) -> bool:
        """Whether this value of an Authorization header holds one of the tokens. The time that this
        takes does not tell how much of a token is right."""
        if authorization[: len(SCHEME)].lower() != SCHEME:
            return False
        shown = authorization[len(SCHEME) :].strip()
        return any(hmac.compare_digest(shown, token) for token in self._tokens)


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Make the TLS context of a server.

    Raises:
        InvalidInput: the files cannot be read, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, certificate, key)
    return context


def load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Let later connections have this certificate.

    Raises:
        InvalidInput: see `tls_context`.
    """
    for path in (certificate, key):
        if not Path(path).is_file():
            raise InvalidInput(f"there is no file {path} for TLS.")
    try:
        # a password would be asked for at the terminal otherwise
        context.load_cert_chain(certificate, key, password=b"")
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            f"TLS cannot use {certificate} with {key}: {error.args[-1]}; both must be PEM, belong "
            "together, and need no password."
        ) from error


class Gate:
    """Decides whom the server lets in, by its files for TLS and tokens."""

    def __init__(self, server: ServerSettings):
        """Read the files.

        Raises:
            InvalidInput: one of them cannot be used.
        """
        self._server = server
        self.tls: ssl.SSLContext | None = None
        if server.tls_cert is not None and server.tls_key is not None:
            self.tls = tls_context(server.tls_cert, server.tls_key)
        self._tokens: Tokens | None = None
        self._read_tokens()

    def _read_tokens(self) -> None:
        if self._server.token_file is not None:
            self._tokens = Tokens(read_tokens(self._server.token_file))

    @property
    def tokens(self) -> Tokens | None:
        """The tokens that let clients in; None if everybody is let in."""
        return self._tokens

    def admits(self, authorization: str | None) -> bool:
        """Whether a client with this Authorization header, or None, is let in."""
        if self._tokens is None:
            return True
        return authorization is not None and self._tokens.know(authorization.encode())

    def heads(self) -> Heads:
        """Make a reader of heads that refuses requests which are not let in."""
        return Heads() if self._tokens is None else Heads(self._tokens.admit)

    def read_again(self) -> None:
        """Read the files again; if one of them cannot be used, nothing changes.

        Raises:
            InvalidInput: one of them cannot be used.
        """
        certificate, key = self._server.tls_cert, self._server.tls_key
        if self.tls is not None and certificate is not None and key is not None:
            tls_context(certificate, key)  # refuses before anything is half changed
            self._read_tokens()
            load_certificate(self.tls, certificate, key)
        else:
            self._read_tokens()
