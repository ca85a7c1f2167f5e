"""Timing caches: how fast TensorRT's tactics were, kept for the next build."""

import logging
import re
from pathlib import Path

from trtasync.build.api import BuilderConfiguration
from trtasync.build.files import make_folder, remove_unfinished, write_atomically
from trtasync.build.locks import locked
from trtasync.errors import BuildError

log = logging.getLogger("trtasync")


def timing_file(folder: Path, version: str, gpu: str, capability: str) -> Path:
    """One per TensorRT version and GPU: `combine` takes no other."""
    return folder / f"{version}-{re.sub(r'[^A-Za-z0-9.]+', '_', gpu)}-{capability}.timing"


class TimingCacheFile:
    """A timing cache on disk. Nothing about it may fail a build: without one it only takes longer.

    Args:
        path: the file; need not exist.
    """

    def __init__(self, path: Path):
        self.path = path

    def load_into(self, config: BuilderConfiguration) -> None:
        """Give a config what is known; an unreadable file counts as empty."""
        try:
            known = self.path.read_bytes()
        except OSError:
            known = b""
        if not (known and self._set(config, known)):
            self._set(config, b"")

    def _set(self, config: BuilderConfiguration, known: bytes) -> bool:
        cache = config.create_timing_cache(known)
        done = cache is not None and config.set_timing_cache(cache, False)
        if not done and known:
            log.warning("%s: not usable by this TensorRT and GPU, begun anew", self.path)
        return done

    def save_from(self, config: BuilderConfiguration) -> None:
        """Combine what a build has learned with what others wrote meanwhile."""
        learned = config.get_timing_cache()
        if learned is None:
            return
        try:
            make_folder(self.path.parent)
            with locked(self.path):
                remove_unfinished(self.path)
                if self.path.exists():
                    others = config.create_timing_cache(self.path.read_bytes())
                    if others is not None and not learned.combine(others, False):
                        log.warning("%s: could not be combined; it is replaced", self.path)
                serialized = learned.serialize()
                if serialized is not None:
                    write_atomically(self.path, serialized)
        except (BuildError, OSError) as error:
            log.warning("the timing cache was not kept: %s", error)
