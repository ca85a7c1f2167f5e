"""Which engine is meant: who asks for the same model with the same options shares one."""

import hashlib
import json
import mmap
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trtasync.errors import PlanError

LENGTH = 32
"""Characters of an identity: 128 bits."""

_LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]*[\x00-\x7f])")
"""An entry of `TensorProto.external_data` (onnx.proto): the key, and the length of the value."""

MOST_NAME = 4096

DEVICES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
"""Environment variables that say which GPU is meant: a host has them of who starts it."""


def identity(model: Path | bytes, options: Mapping[str, Any]) -> str:
    """A name for the engine of this user that serves a model in this way.

    Args:
        model: a file, or what is in it.
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
    """The files beside an ONNX model that it keeps weights in.

    It is searched for their names, not read as `onnx` does, which clients need not have: what looks
    like such a name and is none makes an identity finer at worst.
    """
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            names = sorted({os.fsdecode(name) for name in _locations(data)})
    found = [path.parent / name for name in names if "\0" not in name]
    return [each for each in found if each.is_file()]


def _locations(data: mmap.mmap) -> Iterator[bytes]:
    for found in _LOCATION.finditer(data):
        length = 0
        for place, byte in enumerate(found[1]):  # a varint: seven bits each, the lowest first
            length |= (byte & 0x7F) << (7 * place)
        if 0 < length <= MOST_NAME:
            yield data[found.end() : found.end() + length]
