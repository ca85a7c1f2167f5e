"""Output of results: to files first, then to the terminal."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path

from rich.console import Console

from trtasync.errors import InvalidInput, TrtasyncError
from trtasync.measure.plot import check_plot
from trtasync.plans.onnx_files import read_onnx
from trtasync.runtimes.plan_files import is_plan
from trtasync.system.atomic_files import written_whole

STDOUT = "-"


def check_outputs(
    model: Path | None,
    as_json: str | None,
    *more: Path | None,
    inputs: Iterable[Path | None] = (),
    kept: Path | None = None,
) -> None:
    """Refuse, before minutes are spent, output files that cannot be written or are inputs.

    Args:
        model: its file; those that hold its weights are found.
        as_json: where the JSON goes.
        *more: other files that are written.
        inputs: other files that are read.
        kept: another one that is written, whose folder is made.

    Raises:
        InvalidInput: a file cannot be written, or is an input or another output too.
    """
    outputs = list(filter(None, (_file(as_json), *more)))
    for file in outputs:
        if not os.path.isdir(file.absolute().parent):
            raise InvalidInput(f"there is no folder {file.absolute().parent} to write {file} to.")
        if os.path.isdir(file):
            raise InvalidInput(f"{file} is a folder; name a file to write.")
    if kept is not None:
        outputs.append(kept)
    for one, other in combinations(outputs, 2):
        if _same(one, other):
            raise InvalidInput(f"{one} and {other} are the same file; name two different ones.")
    if there := [file for file in outputs if os.path.exists(file)]:
        _demand_other(there, (*_files_of(model), *filter(None, inputs)))


def _demand_other(outputs: Iterable[Path], inputs: Sequence[Path]) -> None:
    """Files may be overwritten, except inputs."""
    for file in outputs:
        for source in inputs:
            if _same(file, source):
                raise InvalidInput(
                    f"{file} is an input ({source}) and would be overwritten; name another file "
                    "to write."
                )


def check_picture(file: Path | None) -> None:
    """The same for a picture.

    Raises:
        InvalidInput, BackendUnavailable: it cannot be drawn.
    """
    if file is not None:
        check_plot(file)


def _files_of(model: Path | None) -> Sequence[Path]:
    """All files that a model is read from."""
    if model is None:
        return ()
    if os.path.isfile(model) and not is_plan(model):
        with suppress(TrtasyncError):  # opening it will say what is wrong
            return read_onnx(model).paths
    return (model,)


def _same(one: Path, other: Path) -> bool:
    """Whether two paths name one file; files that do not exist yet are compared by path."""
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def deliver(
    text: str, as_json: str | None, show: Callable[[Console], None], *files: Callable[[], None]
) -> None:
    """Write the files, then print the report, even if a file could not be written.

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
            with written_whole(file) as whole:
                whole.write(f"{text}\n".encode())
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
