"""The header of a plan, readable on any machine."""

from dataclasses import dataclass
from pathlib import Path

from trtasync.runtimes.plan_files import PlanFile


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderReport:
    """What the header says of a plan that cannot be run on this machine.

    Attributes:
        file: its path.
        bytes: its size.
        flavour: "tensorrt", or "rtx" for TensorRT for RTX; None if it begins like neither.
        title: the flavour's name in words; "" if there is none.
        tensorrt: the version that built it; "" if the header does not say so.
        unread: why no more is known; set by the caller.
    """

    file: str
    bytes: int
    flavour: str | None
    title: str
    tensorrt: str
    unread: str = ""


def inspect_header(path: Path, unread: str = "") -> HeaderReport:
    """Read a plan's first bytes.

    Args:
        path: the file.
        unread: why no more is read.

    Raises:
        PlanError: it cannot be read.
    """
    header = PlanFile(path).header()
    return HeaderReport(
        file=str(path),
        bytes=path.stat().st_size,
        flavour=header.flavour.name if header.flavour else None,
        title=header.flavour.title if header.flavour else "",
        tensorrt=header.version,
        unread=unread,
    )
