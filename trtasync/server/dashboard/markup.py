"""HTML elements. Whatever is not one already is text, and is escaped."""

from html import escape

from trtasync.words import shown

_EMPTY = {"meta", "polygon", "polyline", "rect"}
"""Elements without content."""


class Markup(str):
    """HTML, as opposed to text that happens to look like it."""

    __slots__ = ()


def element(kind: str, /, *content: str, **attributes: object) -> Markup:
    """Make an element, which is XML as well.

    Args:
        kind: such as "p".
        content: elements and texts, in order.
        attributes: by their names, with `_` for `-`, and with `_` after a keyword of Python.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(shown(str(value)))}"'
        for key, value in attributes.items()
    )
    inside = "".join(map(_markup, content))
    return Markup(f"<{kind}{told}/>" if kind in _EMPTY else f"<{kind}{told}>{inside}</{kind}>")


def _markup(content: str) -> str:
    return content if isinstance(content, Markup) else escape(shown(content))
