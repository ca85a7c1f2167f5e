"""Elements of HTML. What is not one already is text, and escaped."""

from html import escape

from trtasync.words import shown

_EMPTY = {"meta", "polygon", "polyline", "rect"}
"""Elements without content."""


class Markup(str):
    """HTML, and not a text that happens to look like it."""

    __slots__ = ()


def element(kind: str, /, *content: str, **attributes: object) -> Markup:
    """An element, which is XML as well.

    Args:
        kind: such as "p".
        content: elements and texts, in order.
        attributes: by their names, with `_` for `-`; one that Python has a use for ends with `_`.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(shown(str(value)))}"'
        for key, value in attributes.items()
    )
    inside = "".join(map(_markup, content))
    return Markup(f"<{kind}{told}/>" if kind in _EMPTY else f"<{kind}{told}>{inside}</{kind}>")


def _markup(content: str) -> str:
    return content if isinstance(content, Markup) else escape(shown(content))
