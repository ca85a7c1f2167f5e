"""What a file seems to be that is neither an ONNX model nor a plan, by its first bytes."""

from pathlib import Path

HEAD_BYTES = 512
"""Of a file that are looked at."""

SIGNS: dict[bytes, str] = {
    b"version https://git-lfs": "a pointer of Git LFS (`git lfs pull` gets the file itself)",
    b"PK\x03\x04": "a zip archive, as PyTorch saves its own models",
    b"\x80\x02\x8a\n": "a pickle, as PyTorch once saved its own models",
    b"\x89HDF": "an HDF5 file, as Keras saves its own models",
    b"GGUF": "a GGUF file, for llama.cpp",
    b"\x1f\x8b\x08": "compressed by gzip",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
}
"""First bytes, and what begins with them. No exporter begins an `onnx.ModelProto` so. They are
looked at only where the parser has refused a file, or where one named as a plan begins as none."""

_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\f\r")


def head_of(path: Path) -> bytes:
    """The first bytes of a file. Raises OSError."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def seems(head: bytes) -> str:
    """What a file with these first bytes seems to be; "" if that is not known."""
    if not head:
        return "empty"
    for sign, kind in SIGNS.items():
        if head.startswith(sign):
            return kind
    return "" if _CONTROLS & frozenset(head) or not _is_utf8(head) else "text"


def _is_utf8(head: bytes) -> bool:
    """Whether this is UTF-8, whose last character may be cut off."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= HEAD_BYTES - 3
    return True


def not_onnx(shown: str, head: bytes, why: str) -> str:
    """The message about what is not an ONNX model.

    Args:
        shown: what it is called.
        head: its first bytes.
        why: what is wrong with it as a model.
    """
    if kind := seems(head):
        return f"{shown} is not an ONNX model but {kind}; give the path of an .onnx file or a plan."
    return (
        f"{shown} is not an ONNX model, or it is truncated: {why}. Export it again, or compare "
        "its size with the original's."
    )
