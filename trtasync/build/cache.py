"""Plans kept on disk by the content of what they were built from.

An entry is two files: `KEY.plan`, and `KEY.json` with the plan's size and SHA-256, which is written
last. A reader takes no lock: an entry that is not whole does not agree with its own checksum.
"""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtasync.build.files import make_folder, remove_unfinished, write_atomically
from trtasync.build.locks import locked
from trtasync.build.paths import read_path
from trtasync.errors import BackendUnavailable, InvalidInput

log = logging.getLogger("trtasync")

FORMAT = 1
"""Part of every key: another number forgets all plans that were kept."""

CacheChoice = bool | str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A plan that is kept and whole.

    Attributes:
        path: of the plan.
        facts: what it was built from, as in its key.
        seconds: its build took.
        checksum: SHA-256 of the plan.
    """

    path: Path
    facts: Mapping[str, Any]
    seconds: float
    checksum: str


def cache_folder(choice: CacheChoice) -> Path | None:
    """Where plans are kept: a given folder, the user's cache folder (True), or nowhere (False).

    The environment variable TRTASYNC_CACHE_DIR stands for the user's cache folder.

    Raises:
        InvalidInput: it is neither a bool nor a path, or the user has no such folder.
        BackendUnavailable: the platformdirs package is not installed.
    """
    if choice is False:
        return None
    if choice is not True:
        return read_path("cache", choice, "True, False or a folder's path")
    if named := os.environ.get("TRTASYNC_CACHE_DIR"):
        return Path(named).expanduser()
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
            f"there is no cache folder for this user ({error}); name one by cache or the "
            "environment variable TRTASYNC_CACHE_DIR, or keep no plans (cache=False)."
        ) from error
    return folder


def key_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 of all that makes one plan differ from another."""
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class PlanCache:
    """The plans in a folder, shared by any number of processes.

    Attributes:
        folder: where; made when something is kept.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._plans = folder / "plans"

    @property
    def timing(self) -> Path:
        """The folder of timing caches."""
        return self.folder / "timing"

    def plan_path(self, key: str) -> Path:
        """Where the plan of this key lies, if it is there."""
        return self._plans / f"{key}.plan"

    def find(self, key: str) -> Entry | None:
        """The entry of a key, if it is there and whole."""
        plan, note = self.plan_path(key), self._note_path(key)
        try:
            known = json.loads(note.read_bytes())
            wanted = known["bytes"], known["sha256"]
            facts, seconds = known["facts"], float(known["seconds"])
            owner = key_of(facts)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("%s: unreadable (%s); the plan is built again", note, error)
            return None
        if owner != key:
            log.warning("%s: of another plan; the plan is built again", note)
            return None
        if _checksum(plan) != wanted:
            log.warning("%s: corrupt or incomplete; the plan is built again", plan)
            return None
        return Entry(plan, facts, seconds, known["sha256"])

    @contextmanager
    def writing(self, key: str, stop: threading.Event) -> Iterator[None]:
        """Be the only one who builds this key.

        Raises:
            BuildError: the folder cannot be written.
            Stopped: `stop` was set while somebody else was building.
        """
        make_folder(self._plans)
        plan = self.plan_path(key)
        with locked(plan, stop):
            remove_unfinished(plan)
            remove_unfinished(self._note_path(key))
            remove_unfinished(rows_path(plan))
            yield

    def keep(self, key: str, plan: Any, facts: Mapping[str, Any], seconds: float) -> Entry:
        """Add a plan; only within `writing`.

        Raises:
            BuildError: it cannot be written. What was there before stays or is gone, never torn.
        """
        path = self.plan_path(key)
        view = memoryview(plan)
        checksum = hashlib.sha256(view).hexdigest()
        note = {
            "sha256": checksum,
            "bytes": view.nbytes,
            "seconds": seconds,
            "facts": dict(facts),
        }
        write_atomically(path, view)
        write_atomically(self._note_path(key), json.dumps(note, indent=1).encode())
        return Entry(path, facts, seconds, checksum)

    def forget(self, key: str) -> None:
        """Remove what is kept of a key; only within `writing`."""
        plan = self.plan_path(key)
        for path in (self._note_path(key), rows_path(plan), plan):
            with suppress(OSError):  # a note without its plan is no entry either
                path.unlink()

    def is_own(self, entry: Entry) -> bool:
        """Only this user (or root) can have written it."""
        if not hasattr(os, "getuid"):
            return True
        with suppress(OSError):
            facts = [path.stat() for path in (entry.path, self._plans, self.folder)]
            owners = {each.st_uid for each in facts} <= {os.getuid(), 0}
            return owners and not any(each.st_mode & 0o022 for each in facts)
        return False

    def _note_path(self, key: str) -> Path:
        return self._plans / f"{key}.json"


def rows_path(plan: Path) -> Path:
    """Where a note on the rows of a kept plan lies, if there is one."""
    return plan.with_suffix(".rows.json")


def _checksum(path: Path) -> tuple[int, str]:
    """(size, SHA-256) of a file; (-1, "") of one that cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return file.tell(), digest
    except OSError:
        return -1, ""
