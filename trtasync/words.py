"""Makes foreign text (names in model files, paths, messages of runtimes) safe to show.

A name may contain anything: line ends that forge a line of a log, escape sequences that control a
terminal, marks that reverse the direction of reading.
"""


def shown(text: str) -> str:
    """Escape everything in a text except printable characters and blanks."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def one_line(text: str) -> str:
    """The same, joining several lines into one, for logs and errors."""
    if text.isprintable():
        return text.strip()
    parts = (part.replace("\t", " ").strip() for part in text.splitlines())
    return shown(" ".join(part for part in parts if part))
