"""Tables that fit 80 columns and use only characters of the terminal's encoding."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD, Box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from trtasync.words import shown

PLAIN_HEAD = Box("    \n    \n -- \n" + "    \n" * 5, ascii=True)
"""`SIMPLE_HEAD` for terminals without line drawing; rich itself would draw a wider box."""

NARROWEST, GAP = 10, 2
"""Characters that a column of names needs, and those between two columns."""


def new_table(console: Console, *columns: str, figures: bool = True) -> Table:
    """Make an empty table; text too long for the terminal is folded, never cut.

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
    """Print a table below an empty line. Names are folded first, so that numbers stay whole; where
    these leave names no room, rows are told one below the other."""
    figures = [column for column in table.columns if _is_figures(column)]
    room = console.width - NARROWEST * (len(table.columns) - len(figures))
    console.print()
    if sum(map(_width, figures)) > room:
        _show_rows(console, table)
        return
    for column in figures:
        column.no_wrap = True
    console.print(table)


def _show_rows(console: Console, table: Table) -> None:
    """A line for each cell, with the head of its column."""
    columns = [(column.header, tuple(column.cells)) for column in table.columns]
    for index in range(table.row_count):
        row = Table(box=None, show_header=False, pad_edge=False)
        row.add_column(overflow="fold")
        row.add_column(overflow="fold")
        for head, cells in columns:
            row.add_row(head, cells[index])
        if index:
            console.print()
        console.print(row)


def _is_figures(column: Column) -> bool:
    """Whether a column holds one number per cell; several, with blanks, may be folded there."""
    return column.justify == "right" and not any(" " in str(cell) for cell in column.cells)


def _width(column: Column) -> int:
    return GAP + max(len(str(cell)) for cell in (column.header, *column.cells))


def add_row(table: Table, *cells: str, style: str | None = None) -> None:
    """Add a row of foreign text, without markup or control characters."""
    table.add_row(*(Text(shown(cell)) for cell in cells), style=style)


def say(console: Console, text: str, *, fold: bool = False) -> None:
    """Print a line of such text; `fold` wraps it at the terminal's width."""
    console.print(Text(shown(text)), soft_wrap=not fold)


def show_facts(console: Console, facts: Iterable[tuple[str, str]]) -> None:
    """Print names and their values, one per line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts:
        add_row(table, name, text)
    console.print(table)


def written(value: float) -> str:
    """A number with three digits, or with all that stand before its point: "1.08" or "1,080"."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def bar(console: Console, length: int) -> str:
    """A bar of a histogram."""
    return ("#" if console.options.ascii_only else "\N{LOWER SEVEN EIGHTHS BLOCK}") * length
