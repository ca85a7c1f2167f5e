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
    """The files in which tensors are stored, sorted by name.

    Args:
        path: the model's path.
        tensors: its `onnx.TensorProto`s.
        least: the least bytes that a tensor takes, for those that do not say.

    Raises:
        BuildError: one is missing, too short for what it should hold, or in another folder.
    """
    from onnx.external_data_helper import uses_external_data

    files: dict[str, Path] = {}
    for tensor in tensors:
        if not uses_external_data(tensor):
            continue
        # protobuf returns bytes for a string that is not UTF-8
        entries = {entry.key: entry.value for entry in tensor.external_data}
        name = entries.get("location", "")
        if name not in files:
            files[name] = _file(path, name)
        entries.setdefault("offset", "0")
        entries.setdefault("length", str(least(tensor)))
        _demand_within(path, name, files[name], entries)
    return tuple(files[name] for name in sorted(files))


def _file(path: Path, name: Any) -> Path:
    """Find a file beside the model by ONNX Runtime's rules: links may lead to inside the model's
    folder, or, if the model is a link, to inside its target's folder."""
    folder = path.parent
    if not isinstance(name, str) or "\0" in name:
        raise BuildError(f"{path} keeps weights in {name!r}, which is not a valid file name.")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise _elsewhere(path, name)
    file = folder / name
    try:
        found = file.is_file()
        within = any(
            file.resolve().is_relative_to(each)
            for each in (folder.resolve(), path.resolve().parent)
        )
    except (OSError, RuntimeError):  # a name that is too long, or circular links
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
    """Demand that the part of the file that holds a tensor exists."""
    part = [entries["offset"], entries["length"]]
    if not all(isinstance(each, str) and _WHOLE.fullmatch(each) for each in part):
        raise BuildError(
            f"{path} keeps weights in {name} from byte {part[0]!r:.40} on, {part[1]!r:.40} bytes, "
            "which are not valid numbers; save the model again."
        )
    offset, length = map(int, part)
    size = file.stat().st_size
    if offset + length > size:
        raise BuildError(
            f"{path} keeps weights in {name} up to byte {offset + length}, but that file has "
            f"{size} bytes: it is truncated, or belongs to another model. Copy it again."
        )
