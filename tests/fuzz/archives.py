"""Archives of samples made hostile."""

import io
import zipfile
from random import Random

import numpy as np

from tests.fuzz.texts import broken_bytes
from tests.fuzz.values import NUMBERS


def broken_archive(chance: Random) -> bytes:
    """An .npz whose bytes, whose arrays' bytes or whose arrays' headers are wrong."""
    match chance.randrange(4):
        case 0:
            return broken_bytes(chance, _archive({"x": _array()}))
        case 1:
            return _archive({"x": broken_bytes(chance, _array())})
        case 2:
            return _archive({"x": _lying(chance)})
        case _:
            return broken_bytes(chance, _array())


def _archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def _array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((3, 4), np.float32))
    return file.getvalue()


def _lying(chance: Random) -> bytes:
    """An array that has another type, or another size, than its bytes."""
    kinds = ("'<f4'", "'|O'", "'|S0'", "'<f99'", "'|V8'", "[('a', '<f4')]", "'<U9'", "'<M8[s]'")
    shape = tuple(chance.choices(NUMBERS, k=chance.choice((0, 1, 2, 70))))
    order = chance.choice(("True", "False", "2"))
    header = f"{{'descr': {chance.choice(kinds)}, 'fortran_order': {order}, 'shape': {shape}}}\n"
    version = chance.choice((b"\1\0", b"\2\0", b"\3\0", b"\x09\x09"))
    width = 2 if version == b"\1\0" else 4
    return b"\x93NUMPY" + version + len(header).to_bytes(width, "little") + header.encode()
