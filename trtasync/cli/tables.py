"""Tables that fit 80 columns, in the characters that the terminal's encoding has."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD, Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PLAIN_HEAD = Box("    \n    \n -- \n" + "    \n" * 5, ascii=True)
"""`SIMPLE_HEAD` for terminals without line drawing; rich itself would draw a wider box."""


def new_table(console: Console, *columns: str, figures: bool = True) -> Table:
    """An empty one; what is too long for the terminal is folded, never cut.

    Args:
        console: that will print it.
        *columns: their heads.
        figures: all columns but the first hold figures, to the right; else all hold words.
    """
    plain = console.options.ascii_only
    table = Table(
        box=PLAIN_HEAD if plain else SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for index, column in enumerate(columns):
        right = figures and index > 0
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table


def show_table(console: Console, table: Table) -> None:
    """Print it below an empty line."""
    console.print()
    console.print(table)


def show_facts(console: Console, facts: Iterable[tuple[str, str]]) -> None:
    """Names and what they are, a line each."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(name, Text(text))
    console.print(table)


def bar(console: Console, length: int) -> str:
    """A bar of a histogram."""
    return ("#" if console.options.ascii_only else "\N{LOWER SEVEN EIGHTHS BLOCK}") * length
