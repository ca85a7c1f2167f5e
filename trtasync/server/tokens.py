"""Files of tokens: a server lets in whoever shows one of them; a client shows the first."""

from pathlib import Path

from trtasync.errors import InvalidInput


def read_tokens(path: str) -> list[bytes]:
    """The tokens of a file: one per line, without empty lines and lines that begin with #.

    Raises:
        InvalidInput: it cannot be read, holds no token, or holds one that cannot be sent.
    """
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise InvalidInput(f"the tokens in {path} cannot be read: {error.strerror}.") from error
    tokens = [line for each in lines if (line := each.strip()) and not line.startswith(b"#")]
    if not tokens:
        raise InvalidInput(f"{path} holds no token; write one per line.")
    for number, token in enumerate(tokens, 1):
        if not all(0x21 <= byte <= 0x7E for byte in token):
            raise InvalidInput(
                f"token {number} in {path} has blanks or characters that a header cannot carry; "
                "use visible ASCII."
            )
    return tokens
