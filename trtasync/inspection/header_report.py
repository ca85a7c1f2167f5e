"""What the first bytes of a plan say, on any machine."""

from dataclasses import dataclass
from pathlib import Path

from trtasync.runtimes.plan_files import PlanFile


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderReport:
    """What is known of a plan that nothing here can run.

    Attributes:
        file: its path.
        bytes: its size.
        flavour: "tensorrt", or "rtx" for TensorRT for RTX; None where it begins like neither's.
        title: the flavour's name in words; "" where there is none.
        tensorrt: version that built it; "" where it does not say so.
        unread: why no more is known; set by whoever found out.
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
        unread: why nobody reads more of it.

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
