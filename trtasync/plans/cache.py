"""Plans kept on disk, keyed by the content of what they were built from.

An entry is two files: `KEY.plan`, and `KEY.json` with the plan's size and SHA-256, which is written
last. A reader takes no lock: an incomplete entry does not match its own checksum. That does not
protect against someone who can write both: only files of a trusted owner are read (`trust`).
"""

import hashlib
import json
import logging
import math
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtasync.errors import BackendUnavailable, BuildError, InvalidInput
from trtasync.plans.appearing import Appearing
from trtasync.plans.files import (
    PRIVATE,
    cannot_write,
    clear_the_way,
    make_private,
    remove_unfinished,
)
from trtasync.plans.locks import locked
from trtasync.plans.notes import UNREADABLE, read_note
from trtasync.plans.paths import read_path
from trtasync.system.trust import NotTrusted, Owner, close_to_others

log: logging.Logger = logging.getLogger("trtasync")

CACHE_FORMAT = 1
"""Part of every key: another number forgets all plans that were kept."""


@dataclass(frozen=True, slots=True)
class SharedCache:
    """A cache that one user fills and others read; their processes never write there.

    Attributes:
        folder: its folder.
        owner: name or ID of the user whose plans are accepted, besides root's. When this user
            builds with the same option, the files are readable by everybody.
    """

    folder: str | os.PathLike[str]
    owner: str | int

    def __post_init__(self) -> None:
        owner: object = self.owner
        whole = isinstance(owner, int) and not isinstance(owner, bool) and owner >= 0
        if not whole and not isinstance(owner, str):
            raise InvalidInput(f"SharedCache(owner=) must be a user's name or ID, not {owner!r}.")


CacheChoice = bool | str | os.PathLike[str] | SharedCache


@dataclass(frozen=True, slots=True)
class CachedPlan:
    """A complete plan in the cache.

    Attributes:
        path: path of the plan.
        facts: what it was built from, as in its key.
        seconds: the duration of its build.
        checksum: SHA-256 of the plan.
    """

    path: Path
    facts: Mapping[str, Any]
    seconds: float
    checksum: str


def read_cache(choice: CacheChoice) -> "PlanCache | None":
    """Return the chosen cache; None for no cache.

    Raises:
        InvalidInput, BackendUnavailable: see `cache_folder`, and `Owner.named`.
    """
    if isinstance(choice, SharedCache):
        folder = read_path("cache", choice.folder, "the path of a folder")
        return PlanCache(folder, Owner.named(choice.owner))
    place = cache_folder(choice)
    return None if place is None else PlanCache(place)


def cache_folder(choice: bool | str | os.PathLike[str]) -> Path | None:
    """The folder for plans: a given folder, the user's cache folder (True), or None (False).

    The environment variable TRTASYNC_CACHE_DIR replaces the user's cache folder.

    Raises:
        InvalidInput: it is neither a bool nor a path, or the user has no such folder.
        BackendUnavailable: the platformdirs package is not installed.
    """
    if choice is False:
        return None
    if choice is not True:
        return read_path("cache", choice, "True, False, a folder's path or a SharedCache")
    if named := os.environ.get("TRTASYNC_CACHE_DIR"):
        return read_path("TRTASYNC_CACHE_DIR", named, "the path of a folder")
    try:
        from platformdirs import user_cache_path
    except ImportError as error:
        raise BackendUnavailable(
            "keeping plans needs the platformdirs package: pip install 'trtasync[build]' "
            f"({error})."
        ) from error
    try:
        folder: Path = user_cache_path("trtasync", appauthor=False)
    except RuntimeError as error:  # a user without a home, as in many containers
        raise InvalidInput(
            f"there is no cache folder for this user ({error}); name one with cache or the "
            "environment variable TRTASYNC_CACHE_DIR, or keep no plans (cache=False)."
        ) from error
    return folder


def key_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 of everything by which plans differ."""
    text = json.dumps({"format": CACHE_FORMAT, **facts}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class PlanCache:
    """The plans in a folder, shared by any number of processes.

    Attributes:
        folder: its folder; created when something is kept.
        owner: the owner whose plans are accepted.
        mode: the mode of the files.
    """

    def __init__(self, folder: Path, shared: Owner | None = None):
        """Touch no file yet.

        Args:
            folder: its folder.
            shared: the cache readable by everybody; None for a private one.
        """
        self.folder = folder
        self.owner: Owner = Owner.me() if shared is None else shared
        self.mode = PRIVATE if shared is None else 0o644
        self._folder_mode = 0o700 if shared is None else 0o755
        self._read_only = shared is not None and not shared.is_me
        self._plans = folder / "plans"

    @property
    def timing(self) -> Path:
        """The folder of timing caches."""
        return self.folder / "timing"

    def plan_path(self, key: str) -> Path:
        """Where the plan of this key is, if there is one."""
        return self._plans / f"{key}.plan"

    def find(self, key: str, level: int = logging.WARNING) -> CachedPlan | None:
        """The entry of a key, if it exists, is complete, and belongs to its owner; problems are
        logged at `level`.

        Raises:
            BuildError: users other than the owner can write to the folder.
        """
        self._demand_owned()
        plan, note = self.plan_path(key), self._note_path(key)
        try:
            known = read_note(note, self.owner)
            facts, seconds = known["facts"], float(known["seconds"])
            size, checksum = known["bytes"], known["sha256"]
            if key_of(facts) != key:
                raise ValueError("of another plan")
            if not math.isfinite(seconds):
                raise ValueError(f"it took {seconds} s")
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            log.log(level, "%s: unreadable (%s); the plan is built again", note, error)
            return None
        try:
            if self._is_whole(plan, size, checksum):
                return CachedPlan(plan, facts, seconds, checksum)
            why = "corrupt or incomplete"
        except OSError as error:
            why = str(error)
        log.log(level, "%s: %s; the plan is built again", plan, why)
        return None

    def _is_whole(self, plan: Path, size: object, checksum: object) -> bool:
        with self.owner.open(plan) as file:
            if os.fstat(file.fileno()).st_size != size:
                return False  # however large it is, it need not be read
            return hashlib.file_digest(file, "sha256").hexdigest() == checksum

    def _demand_owned(self) -> None:
        """Raise an error for a foreign folder, since building again would not help."""
        try:
            with self.owner.folder(self.folder, sticky=True):
                if not self._read_only:
                    close_to_others(self._plans, self._folder_mode)
            with self.owner.folder(self._plans):
                pass
        except NotTrusted as error:
            raise cannot_write(self._plans, error) from error
        except OSError:
            return  # it does not exist yet, or the writer will find out

    @contextmanager
    def writing(self, key: str, stop: threading.Event) -> Iterator[None]:
        """Be the only one that builds this key.

        Raises:
            BuildError: the folder cannot be written, or is another user's.
            Stopped: `stop` was set while somebody else was building.
        """
        if self._read_only:
            raise BuildError(
                f"{self.folder} has no such plan, and this user may only read it: have its owner "
                "build it with the same options, or choose a cache of your own."
            )
        make_private(self._plans, self._folder_mode)
        plan = self.plan_path(key)
        with locked(plan, stop):
            for path in self._paths(key):
                remove_unfinished(path)
            yield

    def keep(
        self, key: str, plan: Any, facts: Mapping[str, Any], seconds: float, files: Appearing
    ) -> CachedPlan:
        """Add a plan; only within `writing`. It is kept once `files` have appeared.

        Raises:
            BuildError: it cannot be written. What was there before stays or is gone, never partial.
        """
        view = memoryview(plan)
        checksum = hashlib.sha256(view).hexdigest()
        note = {
            "sha256": checksum,
            "bytes": view.nbytes,
            "seconds": seconds,
            "facts": dict(facts),
        }
        for path in self._paths(key):
            try:
                clear_the_way(path)
            except OSError as error:
                raise cannot_write(path, error) from error
        path = self.plan_path(key)
        files.write(path, view, self.mode)
        files.write(self._note_path(key), json.dumps(note, indent=1).encode(), self.mode)
        return CachedPlan(path, facts, seconds, checksum)

    def forget(self, key: str) -> None:
        """Remove the entry of a key; only within `writing`."""
        for path in self._paths(key):
            with suppress(OSError):  # a note without its plan is not an entry either
                path.unlink()

    def _paths(self, key: str) -> tuple[Path, Path, Path]:
        """The note, which is removed first, the note on rows, the plan."""
        plan = self.plan_path(key)
        return self._note_path(key), rows_path(plan), plan

    def _note_path(self, key: str) -> Path:
        return self._plans / f"{key}.json"


def rows_path(plan: Path) -> Path:
    """The path of the note on a plan's rows, whether or not there is one."""
    return plan.with_suffix(".rows.json")
