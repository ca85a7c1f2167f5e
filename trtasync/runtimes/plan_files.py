"""Recognizes and opens plan files without TensorRT."""

import os
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from trtasync.errors import PlanError
from trtasync.model.foreign import head_of, seems
from trtasync.runtimes.flavours import FLAVOURS, RTX, Flavour, of_plan
from trtasync.system.trust import Owner

SUFFIXES = {".plan", ".engine"}

HEADER_BYTES = 28
"""Length of a plan's header: a tag, the number of the format, and at its end the version of
TensorRT, a byte for each of its four numbers (as read by trtexec's --getPlanVersionOnly)."""


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """The header of a plan.

    Attributes:
        flavour: the flavour that built it; None if it is unknown.
        version: the version of that flavour, e.g. "1.7.1.116"; "" if the format is unknown.
        size: bytes of the whole plan; None if the header is not known to say so.
    """

    flavour: Flavour | None
    version: str
    size: int | None

    @classmethod
    def of(cls, head: bytes) -> "PlanHeader":
        """Parse the first `HEADER_BYTES` of a plan."""
        flavour = of_plan(head)
        known = flavour is not None and len(head) >= HEADER_BYTES and not any(head[4:8])
        sized = known and flavour is RTX  # seen with 1.7; not verified for TensorRT
        return cls(
            flavour,
            version=".".join(map(str, head[24:28])) if known else "",
            size=int.from_bytes(head[16:24], "little") if sized else None,
        )


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan file, and how far it is trusted.

    Attributes:
        path: the file.
        owner: the required owner; None if the caller named the file and vouches for it.
        code_allowed: host code inside the plan may be run.
    """

    path: Path
    owner: Owner | None = None
    code_allowed: bool = False

    def open(self) -> BufferedReader:
        """Open the file for deserialization: the open file is the one that was checked, whatever
        happens to its path.

        Raises:
            PlanError: it cannot be read, or is not trusted.
        """
        try:
            if self.owner is not None:
                return self.owner.open(self.path)
            if not os.path.isfile(self.path):
                raise PlanError(
                    f"{self.path} is not a file; give the path of a serialized TensorRT plan."
                )
            return self.path.open("rb")
        except OSError as error:
            raise PlanError(f"{self.path} cannot be read: {error.strerror or error}.") from error

    def header(self) -> PlanHeader:
        """Read the header; raises the same as `open`."""
        with self.open() as file:
            return PlanHeader.of(file.read(HEADER_BYTES))


def is_plan(path: Path) -> bool:
    """Whether a file is named like a plan, or begins like one."""
    if path.suffix in SUFFIXES:
        return True
    if not os.path.isfile(path):
        return False  # reading a pipe would block
    try:
        with path.open("rb") as file:
            return is_plan_data(file.read(HEADER_BYTES))
    except OSError:
        return False


def demand_plan(path: Path) -> None:
    """Refuse a file that is named like a plan and is known to be something else; whether it is one
    that runs here only TensorRT can tell.

    Raises:
        PlanError: it is something else.
    """
    if not os.path.isfile(path):
        return  # opening it will tell
    try:
        head = head_of(path)
    except OSError:
        return
    if not is_plan_data(head) and (kind := seems(head)):
        raise PlanError(f"{path} is not a TensorRT plan but {kind}; give the path of a plan.")


def is_plan_data(data: bytes) -> bool:
    """Whether bytes begin like a plan of either flavour."""
    return data.startswith(tuple(each.magic for each in FLAVOURS))
