"""Plan files, without TensorRT: told from models, and opened."""

import os
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from trtasync.errors import PlanError
from trtasync.runtimes.flavours import FLAVOURS, RTX, Flavour, of_plan
from trtasync.system.trust import Owner

SUFFIXES = {".plan", ".engine"}

HEADER_BYTES = 28
"""Of a plan's beginning: a tag, a number of its format, and at the end the version of TensorRT, one
byte for each of its four numbers (as trtexec's --getPlanVersionOnly reads it)."""


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """What a plan's first bytes say.

    Attributes:
        flavour: that built it; None where they tell of none.
        version: of that flavour, e.g. "1.7.1.116"; "" where the format is another one.
        size: bytes of the whole plan; None where it is not known to say so.
    """

    flavour: Flavour | None
    version: str
    size: int | None

    @classmethod
    def of(cls, head: bytes) -> "PlanHeader":
        """Read from the first `HEADER_BYTES` of a plan."""
        flavour = of_plan(head)
        known = flavour is not None and len(head) >= HEADER_BYTES and not any(head[4:8])
        sized = known and flavour is RTX  # seen with 1.7; nobody has looked at one of TensorRT
        return cls(
            flavour,
            version=".".join(map(str, head[24:28])) if known else "",
            size=int.from_bytes(head[16:24], "little") if sized else None,
        )


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

    def open(self) -> BufferedReader:
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

    def header(self) -> PlanHeader:
        """What its first bytes say; see `open`."""
        with self.open() as file:
            return PlanHeader.of(file.read(HEADER_BYTES))


def is_plan(path: Path) -> bool:
    """It is called a plan, or begins like one."""
    if path.suffix in SUFFIXES:
        return True
    if not os.path.isfile(path):
        return False  # a pipe would have us wait
    try:
        with path.open("rb") as file:
            return is_plan_data(file.read(HEADER_BYTES))
    except OSError:
        return False


def is_plan_data(data: bytes) -> bool:
    """These bytes begin like a plan, of either flavour."""
    return data.startswith(tuple(each.magic for each in FLAVOURS))
