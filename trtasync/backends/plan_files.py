"""Telling a serialized plan from a model, without TensorRT."""

from pathlib import Path

SUFFIXES = {".plan", ".engine"}

MAGIC = b"ftrt"
"""What TensorRT's plans begin with, whatever their file is called."""


def is_plan(path: Path) -> bool:
    """It is called a plan, or begins like one."""
    if path.suffix in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):  # no such file, or a name that no file has
        return False
