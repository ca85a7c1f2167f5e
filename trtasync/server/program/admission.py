"""Whom a server lets in: tokens, and TLS."""

import hmac
import ssl
from pathlib import Path

from trtasync.errors import InvalidInput
from trtasync.server.fast.heads import Head
from trtasync.server.protocol.refusals import Refusal

OPEN = (b"/v2/health/live", b"/v2/health/ready")
"""Whoever looks after processes may ask these without a token."""

SCHEME = b"bearer "


class Tokens:
    """What clients show to be let in."""

    def __init__(self, tokens: list[bytes]):
        """Any of these will do."""
        self._tokens = tokens

    def admit(self, head: Head) -> None:
        """Let a request pass.

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
        """Whether this value of an Authorization header holds one of them. The time that it takes
        does not tell how much of a token is right."""
        if authorization[: len(SCHEME)].lower() != SCHEME:
            return False
        shown = authorization[len(SCHEME) :].strip()
        return any(hmac.compare_digest(shown, token) for token in self._tokens)


def read_tokens(path: str) -> Tokens:
    """The tokens of a file: one a line, empty lines and those that begin with # left out.

    Raises:
        InvalidInput: it cannot be read, or holds none that could be sent.
    """
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise InvalidInput(f"the tokens in {path} cannot be read: {error.strerror}.") from error
    tokens = [line for each in lines if (line := each.strip()) and not line.startswith(b"#")]
    if not tokens:
        raise InvalidInput(f"{path} holds no token; write one a line.")
    for number, token in enumerate(tokens, 1):
        if not all(0x21 <= byte <= 0x7E for byte in token):
            raise InvalidInput(
                f"token {number} in {path} has blanks or other characters that no header carries; "
                "use visible ASCII."
            )
    return Tokens(tokens)


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """For a server.

    Raises:
        InvalidInput: the files cannot be read, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, certificate, key)
    return context


def load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Let the connections that follow have this certificate.

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
