"""What TensorRT for RTX compiled for a plan, kept for its next opening."""

import hashlib
import logging
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trtasync.errors import TrtasyncError
from trtasync.plans.cache import CacheChoice, SharedCache, cache_folder
from trtasync.plans.files import (
    PRIVATE,
    clear_the_way,
    make_private,
    remove_unfinished,
    write_atomically,
)
from trtasync.plans.locks import locked_at_once
from trtasync.runtimes.cuda import Device
from trtasync.runtimes.plan_files import PlanFile
from trtasync.system.trust import NotTrusted, Owner, read_whole

log: logging.Logger = logging.getLogger("trtasync")

MOST_KERNEL_BYTES: Final = 1 << 30
"""Of a file of kernels."""

SEAL_BYTES: Final = hashlib.sha256().digest_size
"""A file of kernels begins with a SHA-256 of them and of the plan they are for; see `_seal`."""


class KernelFiles:
    """The files of one plan: one per version of TensorRT for RTX and kind of GPU.

    They are code that runs on the GPU: what others can write is neither read nor written. So they
    are stored beside the plan if the folder is this user's, readable by everybody if the plan is;
    otherwise in the user's cache. They must never make an opening fail; see `KernelStore`.
    """

    def __init__(self, plan: PlanFile, cache: CacheChoice = True):
        """Touch no file yet.

        Args:
            plan: the plan, beside which they are stored.
            cache: the cache used if that is not possible; a shared cache is for plans only, so the
                user's own is used instead.
        """
        self._plan = plan
        self._owner = plan.owner or Owner.me()
        self._cache = True if isinstance(cache, SharedCache) else cache
        self._known: _Identity | None = None

    def load(self, version: str, device: Device) -> Iterator[bytes]:
        """Yield what is kept for this plan, if it is trusted."""
        try:
            identity = self._identify()
            for place in self._places(identity, _variant(version, device)):
                if content := place.read(identity.digest):
                    yield content
        except (TrtasyncError, OSError) as error:
            log.info("compiled kernels are not looked up: %s", error)

    def save(self, version: str, device: Device, content: bytes) -> None:
        """Replace what is kept."""
        if reasons := self._save(_variant(version, device), content):
            log.warning(
                "%s: its kernels cannot be kept, and are compiled again at the next opening: %s",
                self._plan.path,
                "; ".join(reasons),
            )

    def _save(self, variant: str, content: bytes) -> list[str]:
        """Save them; return why that was not possible anywhere, [] if it was."""
        if len(content) > MOST_KERNEL_BYTES:
            return [f"they have more than {MOST_KERNEL_BYTES} bytes"]
        reasons = []
        try:
            identity = self._identify()
            whole = _seal(identity.digest, content) + content
            for place in self._places(identity, variant):
                try:
                    place.write(whole)
                except (TrtasyncError, OSError) as error:
                    reasons.append(str(error))
                else:
                    return []
        except (TrtasyncError, OSError) as error:
            reasons.append(str(error))
        return reasons

    def _identify(self) -> "_Identity":
        if self._known is None:
            with self._plan.open() as file:
                mode = os.fstat(file.fileno()).st_mode
                digest = hashlib.file_digest(file, "sha256").digest()
            self._known = _Identity(digest, 0o644 if mode & stat.S_IROTH else PRIVATE)
        return self._known

    def _places(self, identity: "_Identity", variant: str) -> "Iterator[_Place]":
        """The places in the order in which they are tried. What is in the cache is there because it
        could not be stored beside the plan, and stays first: what is saved is found again."""
        plan = self._plan.path
        path = plan.with_name(f"{plan.name}.{variant}")
        beside = _Place(path, self._owner, identity.mode, private=False)
        try:
            folder = cache_folder(self._cache)
        except TrtasyncError as error:
            log.info("there is no cache for compiled kernels: %s", error)
            folder = None
        if folder is None:
            return iter((beside,))
        path = folder / "kernels" / f"{identity.digest.hex()}.{variant}"
        cached = _Place(path, Owner.me(), PRIVATE, private=True)
        return iter((cached, beside) if os.path.lexists(path) else (beside, cached))


def _variant(version: str, device: Device) -> str:
    """The suffix of a file's name for a version and a kind of GPU."""
    major, minor = device.capability
    kind = re.sub(r"[^A-Za-z0-9.]+", "_", device.name)
    return f"{version}-{kind}-{major}.{minor}.kernels"


def _seal(digest: bytes, kernels: bytes) -> bytes:
    """The seal that proves kernels complete and made for the plan with this SHA-256."""
    seal = hashlib.sha256(digest)
    seal.update(kernels)
    return seal.digest()


@dataclass(frozen=True, slots=True)
class _Identity:
    """The identity of a plan.

    Attributes:
        digest: SHA-256.
        mode: the mode of files that reveal no more than the plan does.
    """

    digest: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where kernels may be stored.

    Attributes:
        path: path of the file.
        owner: the owner whose file is read.
        mode: mode of the file.
        private: whether its folder is created for this user alone.
    """

    path: Path
    owner: Owner
    mode: int
    private: bool

    def read(self, digest: bytes) -> bytes:
        """The kernels stored here for a plan; b"" if there are none, or they are not trusted."""
        if not os.path.lexists(self.path):
            return b""  # whoever owns the folder
        try:
            with self.owner.open(self.path) as file:
                seal, kernels = file.read(SEAL_BYTES), read_whole(file, MOST_KERNEL_BYTES)
        except (OSError, ValueError) as error:
            log.warning("%s: these kernels are not used: %s", self.path, error)
            return b""
        if seal == _seal(digest, kernels):
            return kernels
        log.info("%s: these kernels are for another plan, or damaged, and are not used", self.path)
        return b""

    def write(self, whole: bytes) -> None:
        """Replace what is stored here, unless another process is doing that.

        Raises:
            BackendUnavailable, BuildError, OSError: it cannot be written, or would not be trusted.
        """
        if self.owner != Owner.me():
            raise NotTrusted(f"{self.path.parent} is another user's")
        if self.private:
            make_private(self.path.parent)
        with self.owner.folder(self.path.parent):  # taking a lock would recreate a missing folder
            pass
        with locked_at_once(self.path) as mine:
            if not mine:
                log.info("%s: another process is saving kernels, so these are not saved", self.path)
                return
            remove_unfinished(self.path)
            clear_the_way(self.path)
            write_atomically(self.path, whole, self.mode)
            log.info("%s: %d bytes of kernels saved", self.path, len(whole))
