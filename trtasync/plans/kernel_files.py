"""What TensorRT for RTX compiled for a plan, kept beside it for the next opening."""

import logging
import re
from pathlib import Path
from typing import Final

from trtasync.errors import BackendUnavailable, BuildError
from trtasync.plans.files import PRIVATE, clear_the_way, remove_unfinished, write_atomically
from trtasync.plans.locks import locked
from trtasync.runtimes.cuda import Device
from trtasync.runtimes.plan_files import PlanFile
from trtasync.system.trust import Owner, read_whole

log: logging.Logger = logging.getLogger("trtasync")

MOST_KERNEL_BYTES: Final = 1 << 30
"""Of a file of kernels."""


class KernelFiles:
    """The files of one plan: one per version of TensorRT for RTX and kind of GPU.

    They are code, which runs on the GPU: what others can write is not read, and beside a plan that
    is another user's nothing is written. Nothing about them may fail an opening; see `KernelStore`.
    """

    def __init__(self, plan: PlanFile):
        """Touch no file yet.

        Args:
            plan: beside which they lie.
        """
        self._plan = plan
        self._owner = plan.owner or Owner.me()

    def path(self, version: str, device: Device) -> Path:
        """Of a version and a GPU."""
        major, minor = device.capability
        kind = re.sub(r"[^A-Za-z0-9.]+", "_", device.name)
        return self._plan.path.with_suffix(f".{version}-{kind}-{major}.{minor}.kernels")

    def load(self, version: str, device: Device) -> bytes:
        """What is kept, if it is trusted."""
        path = self.path(version, device)
        try:
            with self._owner.open(path) as file:
                return read_whole(file, MOST_KERNEL_BYTES)
        except FileNotFoundError:
            return b""
        except (OSError, ValueError) as error:
            log.warning("%s: not usable, kernels are compiled anew: %s", path, error)
            return b""

    def save(self, version: str, device: Device, content: bytes) -> None:
        """Replace what is kept."""
        path = self.path(version, device)
        if not self._owner.is_me:
            return
        try:
            with locked(path):
                remove_unfinished(path)
                clear_the_way(path)
                write_atomically(path, content, PRIVATE)
        except (BackendUnavailable, BuildError, OSError) as error:
            log.info("compiled kernels were not kept: %s", error)
