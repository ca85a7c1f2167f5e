"""All findings together, for people and for machines."""

import platform
from dataclasses import asdict, dataclass
from typing import Any

from trtasync.doctor.backends import BackendState, backends
from trtasync.doctor.gpus import Gpus, gpus
from trtasync.doctor.limits import Limits, limits
from trtasync.doctor.packages import Extra, extras
from trtasync.system.version import __version__


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        trtasync: its version.
        python: its version.
        system: operating system and processor.
        backends: by which models could run.
        gpus: of the machine.
        limits: of this process.
        extras: what was installed of the packages that this library can use.
    """

    trtasync: str
    python: str
    system: str
    backends: list[BackendState]
    gpus: Gpus
    limits: Limits
    extras: list[Extra]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def examine() -> Report:
    """Look at everything; where there is a GPU that may take a second."""
    return Report(
        trtasync=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        backends=backends(),
        gpus=gpus(),
        limits=limits(),
        extras=extras(),
    )
