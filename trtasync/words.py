"""Words of others (names in model files, paths, what runtimes say) made fit to be shown.

A name may hold whatever its author likes: line ends that forge a line of a log, escape sequences
that command a terminal, marks that turn the direction of reading.
"""


def shown(text: str) -> str:
    """A text with everything that is no visible character or blank written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def one_line(text: str) -> str:
    """The same for text of several lines; a log and an error take one."""
    if text.isprintable():
        return text.strip()
    parts = (part.replace("\t", " ").strip() for part in text.splitlines())
    return shown(" ".join(part for part in parts if part))
