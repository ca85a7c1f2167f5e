"""The identity of an engine: those who open the same model with the same options share one."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from trtasync.errors import PlanError

LENGTH = 32
"""Characters of an identity: 128 bits."""

_LOCATION = b"\x0a\x08location\x12"
"""How an entry of `TensorProto.external_data` (onnx.proto) begins: the length of its value follows,
and the value."""

_LENGTH = re.compile(rb"[\x80-\xff]{0,4}[\x00-\x7f]")
"""A varint: seven bits of it in each byte, the lowest first."""

MOST_NAME = 4096

LONGEST = len(_LOCATION) + 5 + MOST_NAME
"""Bytes of an entry."""

PIECE = 1 << 20
"""Bytes of a file that are searched at once, which holds up other threads."""

DEVICES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
"""Environment variables that say which GPU is meant: a host has them of who starts it."""


def identity(model: Path | bytes, options: Mapping[str, Any]) -> str:
    """A name for this user's engine for a model with these options.

    Args:
        model: a file, or its content.
        options: plain data; see `opening.plain`.

    Raises:
        PlanError: the model cannot be read.
    """
    total = hashlib.sha256(f"{os.geteuid()}".encode())
    total.update(json.dumps(options, sort_keys=True).encode())
    total.update(json.dumps([os.environ.get(name) for name in DEVICES]).encode())
    try:
        if isinstance(model, bytes):
            total.update(hashlib.sha256(model).digest())
        else:
            for each in (model, *external_files(model)):
                with each.open("rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise PlanError(f"the model cannot be read: {error}.") from error
    return total.hexdigest()[:LENGTH]


def external_files(path: Path) -> list[Path]:
    """The files beside an ONNX model in which it keeps weights.

    The model is searched for their names, not parsed with `onnx`, which clients need not have:
    something that merely looks like such a name makes an identity finer, at worst.
    """
    with path.open("rb") as file:
        names = sorted({os.fsdecode(name) for name in _locations(file)})
    found = [path.parent / name for name in names if "\0" not in name]
    return [each for each in found if each.is_file()]


def _locations(file: BinaryIO) -> Iterator[bytes]:
    """The names, possibly with duplicates. It is not memory-mapped: truncating the file during the
    search would kill this process."""
    data = b""
    while piece := file.read(PIECE):
        data = data[-LONGEST:] + piece
        at = data.find(_LOCATION)
        while at >= 0:
            name = _value(data, at + len(_LOCATION))
            if name:
                yield name
            at = data.find(_LOCATION, at + 1)


def _value(data: bytes, at: int) -> bytes:
    """The value of an entry, which its length precedes; empty if it is none, or incomplete."""
    found = _LENGTH.match(data, at)
    if found is None:
        return b""
    length = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(found[0]))
    value = data[found.end() : found.end() + length] if length <= MOST_NAME else b""
    return value if len(value) == length else b""
