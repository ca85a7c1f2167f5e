"""The files beside an ONNX model that hold its weights: which, and whether they may be read."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from trtasync.errors import BuildError

_WHOLE = re.compile(r"[0-9]{1,18}")


def external_files(
    path: Path, tensors: Iterable[Any], least: Callable[[Any], int]
) -> tuple[Path, ...]:
    """The files that tensors are kept in, sorted by name.

    Args:
        path: of the model.
        tensors: `onnx.TensorProto`s of it.
        least: bytes that a tensor takes at least, for those that do not say.

    Raises:
        BuildError: one is missing, too short for what it should hold, or lies elsewhere.
    """
    from onnx.external_data_helper import uses_external_data

    files: dict[str, Path] = {}
    for tensor in tensors:
        if not uses_external_data(tensor):
            continue
        # protobuf gives the bytes of a text that is no UTF-8
        entries = {entry.key: entry.value for entry in tensor.external_data}
        name = entries.get("location", "")
        if name not in files:
            files[name] = _file(path, name)
        entries.setdefault("offset", "0")
        entries.setdefault("length", str(least(tensor)))
        _demand_within(path, name, files[name], entries)
    return tuple(files[name] for name in sorted(files))


def _file(path: Path, name: Any) -> Path:
    """The file of a name, which is beside the model as ONNX Runtime understands it: links may lead
    to within the model's folder, or to within the folder of what the model is a link to."""
    folder = path.parent
    if not isinstance(name, str) or "\0" in name:
        raise BuildError(f"{path} keeps weights in {name!r}, which no file is called.")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise _elsewhere(path, name)
    file = folder / name
    try:
        found = file.is_file()
        within = any(
            file.resolve().is_relative_to(each)
            for each in (folder.resolve(), path.resolve().parent)
        )
    except (OSError, RuntimeError):  # a name too long, links in a circle
        found, within = False, True
    if not within:
        raise _elsewhere(path, name)
    if not found:
        raise BuildError(
            f"{path} keeps weights in {name}, which is missing from {folder}; copy it there."
        )
    return file


def _elsewhere(path: Path, name: str) -> BuildError:
    return BuildError(
        f"{path} wants weights from {name}, which is not beside it; for safety only files in the "
        "model's own folder are read, through links too. Save the model again with its weights "
        "there."
    )


def _demand_within(path: Path, name: str, file: Path, entries: Mapping[str, Any]) -> None:
    """The part of the file that a tensor lies in is there."""
    part = [entries["offset"], entries["length"]]
    if not all(isinstance(each, str) and _WHOLE.fullmatch(each) for each in part):
        raise BuildError(
            f"{path} keeps weights in {name} from byte {part[0]!r:.40} on, {part[1]!r:.40} bytes, "
            "which are no such numbers; save the model again."
        )
    offset, length = map(int, part)
    size = file.stat().st_size
    if offset + length > size:
        raise BuildError(
            f"{path} keeps weights in {name} up to byte {offset + length}, but that file has "
            f"{size} bytes: it is truncated, or another model's. Copy it again."
        )
