"""The header of a plan, readable on any machine."""

from dataclasses import dataclass
from pathlib import Path

from trtasync.errors import PlanError
from trtasync.runtimes.plan_files import HEADER_BYTES, PlanFile


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderReport:
    """What the header says about a plan that cannot be run on this machine.

    Attributes:
        file: its path.
        bytes: its size.
        flavour: "tensorrt", or "rtx" for TensorRT for RTX; None if it begins like neither.
        title: the flavour's name in words; "" if there is none.
        tensorrt: the version that built it; "" if the header does not say so.
        whole: it has as many bytes as its header says; None if the header does not say. The bytes
            themselves were not examined.
        unread: why no more is known; set by the caller.
    """

    file: str
    bytes: int
    flavour: str | None
    title: str
    tensorrt: str
    whole: bool | None
    unread: str = ""


def inspect_header(path: Path, unread: str = "") -> HeaderReport:
    """Read a plan's first bytes.

    Args:
        path: the file.
        unread: why no more is read.

    Raises:
        PlanError: it cannot be read, or is too short for what it claims to be.
    """
    header, size = PlanFile(path).header(), path.stat().st_size
    least = header.size or HEADER_BYTES
    if header.flavour is not None and size < least:
        wanted = f"{'its header speaks of' if header.size else 'a plan needs at least'} {least}"
        raise PlanError(
            f"{path} begins like a plan of {header.flavour.title} but is incomplete: it has "
            f"{size} bytes, and {wanted}. Copy or build it again."
        )
    return HeaderReport(
        file=str(path),
        bytes=size,
        flavour=header.flavour.name if header.flavour else None,
        title=header.flavour.title if header.flavour else "",
        tensorrt=header.version,
        whole=None if header.size is None else header.size == size,
        unread=unread,
    )
