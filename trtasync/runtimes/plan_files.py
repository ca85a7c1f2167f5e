"""Plan files, without TensorRT: told from models, and opened."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trtasync.errors import PlanError
from trtasync.system.trust import Owner

SUFFIXES = {".plan", ".engine"}

MAGIC = b"ftrt"
"""What TensorRT's plans begin with, whatever their file is called."""


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan, and how far it is trusted.

    Attributes:
        path: of the file.
        owner: whose it has to be; None where somebody named it, and vouches for it.
        code_allowed: the code that it may carry is run.
    """

    path: Path
    owner: Owner | None = None
    code_allowed: bool = False

    def open(self) -> IO[bytes]:
        """What is to be deserialized; it is what was looked at, whatever happens to the path.

        Raises:
            PlanError: it cannot be read, or is not trusted.
        """
        try:
            if self.owner is not None:
                return self.owner.open(self.path)
            if not os.path.isfile(self.path):
                raise PlanError(
                    f"{self.path} is no file; give the path of a serialized TensorRT plan."
                )
            return self.path.open("rb")
        except OSError as error:
            raise PlanError(f"{self.path} cannot be read: {error.strerror or error}.") from error


def is_plan(path: Path) -> bool:
    """It is called a plan, or begins like one."""
    if path.suffix in SUFFIXES:
        return True
    if not os.path.isfile(path):
        return False  # a pipe would have us wait
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
