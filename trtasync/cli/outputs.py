"""Where results go: files first, then the terminal."""

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from trtasync.bench.plot import check as check_plot
from trtasync.errors import InvalidInput

STDOUT = "-"


def check_outputs(as_json: str | None, picture: Path | None = None, *more: Path | None) -> None:
    """Before minutes are spent on what could not be kept.

    Raises:
        InvalidInput: a file cannot be written, or no picture be drawn.
    """
    for file in filter(None, (_file(as_json), picture, *more)):
        if not file.absolute().parent.is_dir():
            raise InvalidInput(f"there is no folder {file.absolute().parent} to write {file} to.")
        if file.is_dir():
            raise InvalidInput(f"{file} is a folder; name a file to write.")
    if picture is not None:
        check_plot(picture)


def deliver(
    text: str, as_json: str | None, show: Callable[[Console], None], *files: Callable[[], None]
) -> None:
    """Write what was asked for; then print it, also when a file could not be written.

    Args:
        text: the JSON.
        as_json: its file, "-" for stdout instead of tables, or None for no JSON.
        show: prints the tables.
        *files: each writes one.

    Raises:
        InvalidInput: a file cannot be written.
    """
    try:
        if (file := _file(as_json)) is not None:
            file.write_text(text + "\n", encoding="utf-8")
        for write in files:
            write()
    except OSError as error:
        raise InvalidInput(f"cannot write {error.filename}: {error.strerror}.") from error
    finally:
        if as_json == STDOUT:
            sys.stdout.write(text + "\n")
        else:
            show(Console())


def _file(as_json: str | None) -> Path | None:
    return None if as_json is None or as_json == STDOUT else Path(as_json)
