"""Why a peer was not run, as a line that may be shown and committed."""

import re

_URL = re.compile(r"\b[a-z]+://\S+")
_HOST = re.compile(r"host='[^']*'")
_PATH = re.compile(r"(?<![\w.])(?:/[\w.+@~-]+)+/(?=[\w.+@~-])")
LONGEST = 160


def told(error: BaseException) -> str:
    """An exception as one line; of a group, its first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())


def plain(text: str) -> str:
    """The most informative line of an output, without addresses, machine paths or colours.

    The last line that names an error, else the last line.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(ERROR|\w*Error|error)\b", line)]
    line = (errors or lines or ["it said nothing"])[-1]
    line = _PATH.sub("", _HOST.sub("host", _URL.sub("(address)", line)))
    line = line.replace("|", "/").replace("`", "'")
    return line if len(line) <= LONGEST else line[: LONGEST - 4] + " ..."
