"""Timing caches: how fast TensorRT's tactics were, kept for the next build."""

import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from trtasync.errors import BuildError
from trtasync.plans.api import BuilderConfiguration, TimingCache
from trtasync.plans.appearing import Appearing
from trtasync.plans.files import (
    PRIVATE,
    clear_the_way,
    make_private,
    remove_unfinished,
)
from trtasync.plans.locks import locked
from trtasync.system.stopping import Stop
from trtasync.system.trust import Owner, read_whole

log: logging.Logger = logging.getLogger("trtasync")

MOST_TIMING_BYTES: Final = 256 << 20
"""Of a file of them; hundreds of builds add up to a few megabytes."""


def timing_file(folder: Path, version: str, gpu: str, capability: str) -> Path:
    """One file per TensorRT version and GPU: `combine` accepts no other."""
    return folder / f"{version}-{re.sub(r'[^A-Za-z0-9.]+', '_', gpu)}-{capability}.timing"


class TimingCacheFile:
    """A timing cache on disk. It must never make a build fail: without one it only takes longer.

    Args:
        path: the file; need not exist.
    """

    def __init__(self, path: Path):
        self.path = path

    def load_into(self, config: BuilderConfiguration) -> None:
        """Load it into a config; what cannot be read or trusted counts as empty."""
        try:
            known = self._read()
        except (OSError, ValueError) as error:
            log.warning("%s: not usable, starting afresh: %s", self.path, error)
            known = b""
        if not (known and self._set(config, known)):
            self._set(config, b"")

    def _read(self) -> bytes:
        try:
            with Owner.me().open(self.path) as file:
                return read_whole(file, MOST_TIMING_BYTES)
        except FileNotFoundError:
            return b""

    def _set(self, config: BuilderConfiguration, known: bytes) -> bool:
        cache = config.create_timing_cache(known)
        done = cache is not None and config.set_timing_cache(cache, False)
        if not done and known:
            log.warning("%s: not usable by this TensorRT and GPU, starting afresh", self.path)
        return done

    def save_from(self, config: BuilderConfiguration, stop: Stop) -> None:
        """Merge what a build has learned with what others wrote meanwhile.

        Raises:
            Stopped: the build was cancelled.
        """
        learned = config.get_timing_cache()
        if learned is None:
            return
        try:
            make_private(self.path.parent)
            with locked(self.path, stop), Appearing(stop) as files:
                remove_unfinished(self.path)
                self._combine(config, learned)
                serialized = learned.serialize()
                if serialized is not None:
                    clear_the_way(self.path)
                    files.write(self.path, serialized, PRIVATE)
                    files.appear(final=False)
        except (BuildError, OSError) as error:
            log.warning("the timing cache was not kept: %s", error)

    def _combine(self, config: BuilderConfiguration, learned: TimingCache) -> None:
        with suppress(OSError, ValueError):  # `load_into` has said why
            known = self._read()
            others = config.create_timing_cache(known) if known else None
            if others is not None and not learned.combine(others, False):
                log.warning("%s: could not be merged and is replaced", self.path)
